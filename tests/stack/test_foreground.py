"""`holdfast up` in a terminal: how it ends, and what it says of parts that die."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from tests.e2e.viewers import post, snapshot, until


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_however_it_ends(folder, number):
    with folder.foreground() as up:
        # Two of them in the middle of the start.
        if number in (signal.SIGINT, signal.SIGKILL):
            up.wait_for("Holdfast is ready")
        else:
            up.wait_for("kafka is ready")
        up.process.send_signal(number)
        up.wait()
        folder.assert_nothing_left()


def test_parts_that_die_are_started_again_and_one_that_keeps_dying_ends_it(folder):
    with folder.foreground() as up:
        up.wait_for("Holdfast is ready")
        url = folder.stack.url
        assert post(url, "counter", {"add": 7}).status_code == 202
        for name in ("origin-1", "publisher-1", "redis", "pushpin-1"):
            pid = folder.stack.pid(name)
            os.kill(pid, signal.SIGKILL)
            up.wait_for(f"{name} died and is started again")
            until(lambda name=name: _back(folder, name), f"{name} to be back")
            assert folder.stack.pid(name) != pid
        assert post(url, "counter", {"add": 1}).status_code == 202
        until(lambda: snapshot(url, "counter")["value"] == 8, "the exact sum")

        port = folder.status()["redis"]["ports"]["redis"]
        folder.stack.stop_part("redis")
        with socket.socket() as squatter:
            squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            squatter.bind(("127.0.0.1", port))
            squatter.listen()
            folder.stack.start_part("redis")
            assert up.wait(60) == 1
        assert "redis keeps dying; stopped everything. Its last lines:" in up.said
        assert "Address already in use" in up.said
        folder.assert_nothing_left()


def _back(folder, name):
    part = folder.status()[name]
    return part["state"] == "running" and part["restarts"] >= 1
