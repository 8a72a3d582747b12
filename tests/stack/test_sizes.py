"""Two of each part, with simulated posters and viewers, one of each part killed."""

from __future__ import annotations

import os
import signal

import httpx

from tests.e2e.viewers import Viewer, post, snapshot, until

SIZES = [word for kind in ("origins", "publishers", "varnishes", "pushpins") for word in (kind, 2)]


def test_two_of_each_part_serve_as_one(folder):
    words = [f"--{word}" if isinstance(word, str) else str(word) for word in SIZES]
    folder.up(*words, "--simulate")
    parts = folder.status()
    pushpins = [f"http://127.0.0.1:{parts[f'pushpin-{n}']['ports']['http']}" for n in (1, 2)]
    url, path = folder.stack.url, "/values/visits?as=sse"
    with Viewer(pushpins[0], path) as first, Viewer(pushpins[1], path) as second:
        for viewer in (first, second):
            viewer.wait_connected()
        _add(url, 5)
        until(lambda: first.values[-1] == second.values[-1] == 5, "both Pushpins' viewers")
        for varnish in folder.stack.varnish_urls:
            assert httpx.get(f"{varnish}/values/visits").json()["value"] == 5

        for name in ("origin-1", "publisher-1", "varnish-1"):
            os.kill(parts[name]["pid"], signal.SIGKILL)
        for _ in range(5):
            until(lambda: post(url, "visits", {"add": 1}).status_code == 202, "an origin")
        until(lambda: first.values[-1] >= 10 and second.values[-1] >= 10, "who is left", 30)
        for viewer in (first, second):
            viewer.assert_increasing()
    seen = snapshot(url, "counter")["value"]
    until(lambda: snapshot(url, "counter")["value"] > seen, "simulated posters")

    os.kill(int((folder.path / "supervisord.pid").read_text()), signal.SIGKILL)
    assert folder.run("down").returncode == 0
    folder.assert_nothing_left()


def _add(url, number):
    assert post(url, "visits", {"add": number}).status_code == 202
