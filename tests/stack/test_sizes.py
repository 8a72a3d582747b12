"""Several of each part, with simulated posters and viewers: they serve as one, also without one."""

from __future__ import annotations

import os
import signal
import uuid
from functools import partial

import httpx

from stack.ports import listens
from tests.e2e.metrics import metric
from tests.e2e.viewers import Viewer, post, snapshot, until

SIZES = {"origins": 2, "publishers": 3, "varnishes": 2, "pushpins": 2}
KILLED = ("origin-1", "publisher-1", "varnish-1", "pushpin-1")


def test_several_of_each_part_serve_as_one_and_without_one(folder):
    folder.up(
        *(word for kind, number in SIZES.items() for word in (f"--{kind}", str(number))),
        "--simulate",
    )
    parts, stack = folder.status(), folder.stack
    pushpins = [f"http://127.0.0.1:{parts[f'pushpin-{n}']['ports']['http']}" for n in (1, 2)]
    path = "/values/visits?as=sse"
    with (
        Viewer(pushpins[0], path, reconnect=True) as first,
        Viewer(pushpins[1], path, reconnect=True) as second,
    ):
        for viewer in (first, second):
            viewer.wait_connected()
        _every_node_gets_every_release(stack, parts)
        _add(stack.url, 5)
        until(lambda: first.values[-1] == second.values[-1] == 5, "both Pushpins' viewers")
        for edge in stack.varnish_urls:
            assert _shows(edge, "visits", 5)

        for name in KILLED:
            os.kill(parts[name]["pid"], signal.SIGKILL)
        for _ in range(5):
            _add(stack.url, 1)
        until(lambda: second.values[-1] == 10, "who is left", 40)
        _all_back(folder)
        # The edge that was away has nothing old, and Pushpin's viewers have come back.
        for _ in range(20):
            assert snapshot(stack.varnish_urls[0], "visits")["value"] == 10
        _add(stack.url, 1)
        until(lambda: first.values[-1] == second.values[-1] == 11, "all of them, again", 40)
        for edge in stack.varnish_urls:
            # A publisher finds out within a second that the edge is back, and purges it.
            until(partial(_shows, edge, "visits", 11), f"the newest at {edge}", 5)
            for _ in range(20):
                assert _shows(edge, "visits", 11)
        for viewer in (first, second):
            viewer.assert_increasing()
            assert viewer.resets == 0
    seen = snapshot(stack.url, "counter")["value"]
    until(lambda: snapshot(stack.url, "counter")["value"] > seen, "simulated posters")

    os.kill(int((folder.path / "supervisord.pid").read_text()), signal.SIGKILL)
    assert folder.run("down").returncode == 0
    folder.assert_nothing_left()


def _every_node_gets_every_release(stack, parts):
    """Whichever publisher a value belongs to: all edges are purged, all Pushpins told."""
    names = [f"many.{letter}" for letter in "abcdefghijkl"]
    for value in (1, 2):
        for name in names:
            assert post(stack.url, name, {"add": 1}).status_code == 202
        for edge in stack.varnish_urls:  # the first time they are filled, the second time purged
            for name in names:
                until(partial(_shows, edge, name, value), f"{name} = {value} at {edge}")
    owners = [url for url in stack.publisher_urls if metric([url], "holdfast_releases_total")]
    assert len(owners) == SIZES["publishers"]
    controls = [f"http://127.0.0.1:{parts[f'pushpin-{n}']['ports']['publish']}" for n in (1, 2)]
    for owner in owners:
        for edge in stack.varnish_urls:
            assert metric([owner], "holdfast_purges_total", node=edge, result="ok")
        for control in controls:
            assert metric([owner], "holdfast_publishes_total", node=control, result="ok")
    until(lambda: metric(owners, "holdfast_purge_spread_seconds_count"), "a purge of two edges")


def _shows(edge, name, value):
    answer = httpx.get(f"{edge}/values/{name}")
    return answer.status_code == 200 and answer.json()["value"] == value


def _all_back(folder):
    def running():
        parts = folder.status()
        return all(part["state"] == "running" for part in parts.values()) and all(
            listens(next(iter(parts[name]["ports"].values()))) for name in KILLED
        )

    until(running, "every part", 60)


def _add(url, number):
    """Add, once, however often it has to be sent."""
    key = {"Idempotency-Key": str(uuid.uuid4())}

    def taken():
        try:
            answer = httpx.post(
                f"{url}/values/visits", json={"add": number}, headers=key, timeout=10
            )
        except httpx.HTTPError:
            return False
        return answer.status_code == 202

    until(taken, "an acknowledgement", 40)
