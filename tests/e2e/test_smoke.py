"""scripts/smoke tells a deployment that works from one that does not."""

from __future__ import annotations

import subprocess
import sys

from stack.layout import REPO
from tests.e2e.viewers import snapshot, until


def smoke(*words):
    return subprocess.run(
        [REPO / "scripts" / "smoke", *words], capture_output=True, text=True, timeout=240
    )


def test_a_deployment_that_works_passes_and_keeps_its_count(stack):
    before = snapshot(stack.url, "counter")["value"]
    control = f"{sys.executable} -m supervisor.supervisorctl -s unix://{stack.dir}/supervisor.sock"
    done = smoke(
        *(stack.url, "--viewers", "2", "--hold", "0"),
        *("--stop-origins", f"{control} stop origin-1"),
        *("--start-origins", f"{control} start origin-1"),
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert {line.split()[0] for line in lines[:-1]} == {"ok"}
    assert lines[-1] == f"{len(lines) - 1} checks passed, 0 failed"
    assert any("no origin" in line for line in lines)
    until(lambda: snapshot(stack.url, "counter")["value"] == before, "what was added is off again")


def test_one_whose_edge_is_reached_alone_fails(stack):
    """Past nginx and Pushpin: the purge API is open to whoever has its key, and nothing is held."""
    done = smoke(stack.varnish_urls[0], "--viewers", "1", "--hold", "0")
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert any("purge_all is not for the public: status 401 instead of 404" in x for x in failed)
    assert any("the stream ended" in line for line in failed)


def test_one_that_is_not_there_fails():
    done = smoke("http://127.0.0.1:9", "--viewers", "1", "--hold", "0")
    assert done.returncode == 1
    assert "0 checks passed" in done.stdout
    assert "Traceback" not in done.stderr


def test_what_is_no_url_is_said():
    done = smoke("127.0.0.1:8080")
    assert done.returncode == 2
    assert "does not begin with http://" in done.stderr
