"""`holdfast up --detach`, `status`, `logs` and `down`: what they say, keep and leave."""

from __future__ import annotations

import json
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from stack.certificate import own
from tests.e2e.viewers import post, until

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
LISTEN = "0A"


def _listening(pids):
    """Local addresses, in hex as in /proc/net/tcp, that these processes listen at."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(str(link.readlink()))
            except FileNotFoundError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and f"socket:[{fields[9]}]" in inodes:
                found.add(fields[1])
    return found


def test_a_stack_comes_up_says_what_it_is_keeps_its_state_and_goes(stack, folder):
    # The stack of the other tests runs beside it all the time.
    assert folder.up().startswith("\nHoldfast is ready: http://127.0.0.1:")

    parts = folder.status()
    for part in parts.values():
        assert set(part) == {"name", "pid", "state", "ports", "restarts"}
        assert (part["state"], part["restarts"]) == ("running", 0)
    assert set(parts) == {
        *("kafka", "redis", "nginx", "origin-1", "publisher-1", "relay-1", "hooks-1"),
        *("varnish-1", "exporter-1", "pushpin-1", "websocket-1"),
    }
    addresses = _listening(folder.processes())
    assert len(addresses) > 7
    assert {address.split(":")[0] for address in addresses} <= LOOPBACK

    second = folder.run(*folder.up_words("--detach"))
    assert second.returncode == 1
    assert "runs in" in second.stderr
    assert "holdfast down" in second.stderr

    url = folder.stack.url
    assert post(url, "headline", {"set": "current value"}).status_code == 202
    wanted = b'{"data": "current value"}\n'
    until(lambda: _first_line(folder.stack.pushpin_url) == wanted, "the seed's own first line")

    assert "starting" in folder.run("logs", "pushpin-1").stdout
    unknown = folder.run("logs", "nobody")
    assert unknown.returncode == 1
    assert "origin-1" in unknown.stderr

    assert folder.run("down").returncode == 0
    folder.assert_nothing_left()
    assert folder.run("down").returncode == 0
    gone = folder.run("status")
    assert gone.returncode == 1
    assert "no stack runs in" in gone.stderr

    # With TLS, and a certificate of its own: its own words tell how to trust it.
    said = folder.up("--tls")
    secure = url.replace("http://", "https://")
    assert folder.stack.url == secure
    assert f"Holdfast is ready: {secure}/" in said
    trust = folder.path / "tls" / "certificate.pem"
    assert _headline(secure, trust) == "current value"
    posting = next(line for line in said.splitlines() if "-d " in line)
    done = subprocess.run(["bash", "-c", f"{posting} -sS"], capture_output=True, check=True)
    assert json.loads(done.stdout)["topic"] == "updates"
    folder.run("down")

    # With somebody's own, and new.
    other = own(folder.path / "other")
    files = ("--tls-certificate", str(other.file), "--tls-key", str(other.key))
    folder.up("--fresh", *files, "--simulate")
    with pytest.raises(httpx.ConnectError):
        _headline(secure, trust)
    assert _headline(secure, other.file) != "current value"  # simulated posters may have set it
    until(lambda: _value(secure, "counter", other.file) > 0, "simulated posters")
    folder.run("down")
    folder.assert_nothing_left()
    assert httpx.get(stack.url).status_code == 200


def _headline(url, trust):
    return _value(url, "headline", trust)


def _value(url, name, trust):
    context = ssl.create_default_context(cafile=trust)
    return httpx.get(f"{url}/values/{name}", verify=context).json()["value"]


def _first_line(base):
    with httpx.stream("GET", f"{base}/stream", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        for chunk in answer.iter_raw():
            return chunk.splitlines(keepends=True)[0]
    return b""


def test_a_port_that_is_taken_is_named_with_its_option(stack, folder):
    taken = stack.url.rpartition(":")[2]
    done = folder.run("up", "--port", taken, "--pushpin-port", "0", "--detach")
    assert done.returncode == 1
    assert "--port" in done.stderr
    assert taken in done.stderr
    folder.assert_nothing_left()


def test_a_broken_values_file_is_named_and_nothing_starts(folder):
    folder.values.write_text('[values.counter]\nreduce = "median"\n')
    done = folder.run(*folder.up_words("--detach"))
    assert done.returncode == 1
    assert "values.counter" in done.stderr
    folder.assert_nothing_left()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--tls-key", "key.pem"], "--tls-certificate and --tls-key go together"),
        (["--tls-certificate", "no.pem", "--tls-key", "no.pem"], "no.pem: No such file"),
    ],
)
def test_a_certificate_that_can_not_be_shown_is_named_and_nothing_starts(folder, words, named):
    done = folder.run(*folder.up_words("--detach", *words))
    assert done.returncode != 0
    # The terminal's width may break the line anywhere.
    assert named in " ".join(done.stderr.split())
    folder.assert_nothing_left()
