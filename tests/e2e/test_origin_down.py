"""The edge survives the origin: promise 4."""

from __future__ import annotations

import json
import os
import signal
import time

import httpx
import pytest

from tests.e2e.pollers import Poller, polls_accepted
from tests.e2e.viewers import Viewer, answers, post, snapshot, until

SSE, NDJSON = "/values/counter?as=sse", "/values/counter?as=ndjson"


@pytest.fixture
def origin_back(stack):
    """Whatever the test does to the origin, the next test finds it running."""
    yield
    stack.start_part("origin-1")
    # Nobody has a copy of this one: a 503 until the edge's probe has seen the origin well again.
    until(lambda: _status(stack, "nobody-has-it") == 404, "the edge trusts the origin")
    assert snapshot(stack.url, "counter") == snapshot(stack.origin_urls[0], "counter")


def _kill_origin(stack) -> None:
    os.killpg(os.getpgid(stack.pid("origin-1")), signal.SIGKILL)
    stack.stop_part("origin-1")  # or the process manager would have it back within a second


def _status(stack, name: str) -> int:
    return httpx.get(f"{stack.url}/values/{name}").status_code


def _fresh_value(stack) -> int:
    """Release a new value of the counter, and have every representation in the edge's cache."""
    value = snapshot(stack.url, "counter")["value"] + 1
    assert post(stack.url, "counter", {"add": 1}).status_code == 202
    with (
        Viewer(stack.url, "/values/counter?as=sse") as sse,
        Viewer(stack.url, "/stream") as text,
    ):
        until(lambda: sse.values and sse.values[-1] == value, "the release on SSE")
        until(lambda: text.lines and json.loads(text.lines[-1])["data"] == value, "on /stream")
    for path in (SSE, NDJSON, "/stream"):
        with Viewer(stack.url, path) as viewer:  # after the purge: this is what fills the cache
            viewer.wait_connected()
    assert snapshot(stack.url, "counter")["value"] == value
    return value


def test_from_the_first_second_on_nobody_is_refused_and_the_stream_goes_on(stack, origin_back):
    value = _fresh_value(stack)
    _kill_origin(stack)
    deadline = time.monotonic() + 4
    asked = 0
    while time.monotonic() < deadline:
        newest = snapshot(stack.url, "counter")
        assert newest["value"] == value
        with Viewer(stack.url, (SSE, NDJSON)[asked % 2]) as viewer:
            viewer.wait_connected()
            assert viewer.values == [value]
        asked += 1
    assert asked > 10
    polls = polls_accepted(stack)
    with (
        Viewer(stack.url, SSE) as sse,
        Viewer(stack.url, NDJSON) as ndjson,
        Viewer(stack.url, "/stream") as text,
        Poller(stack.url, "counter") as poller,
        Poller(stack.url, "counter", after=newest["version"]) as returning,
    ):
        for viewer in (sse, ndjson, text, poller, returning):
            viewer.wait_connected()
        until(lambda: polls_accepted(stack) >= polls + 2, "two polls that wait")
        stack.produce("updates", '{"add":1}', key="counter")
        for viewer in (sse, ndjson, poller, returning):
            until(lambda v=viewer: v.values and v.values[-1] == value + 1, "the next release")
            viewer.assert_increasing()
        until(lambda: json.loads(text.lines[-1])["data"] == value + 1, "on /stream")
        assert [poller.timeouts, returning.timeouts] == [0, 0]
        assert poller.failures + returning.failures == []
    refused = post(stack.url, "counter", {"add": 1})
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) >= 1


def test_viewers_who_came_meanwhile_are_right_again_though_nothing_changes(stack, origin_back):
    value = _fresh_value(stack)
    _kill_origin(stack)
    # One who sees the release: his recovery must not answer for those who only claim to have.
    with Viewer(stack.url, "/values/counter?as=sse") as witness:
        witness.wait_connected()
        stack.produce("updates", '{"add":1}', key="counter")
        until(lambda: witness.values[-1] == value + 1, "the release that latecomers miss")
        polls = polls_accepted(stack)
        texts = [Viewer(stack.url, "/stream").start() for _ in range(3)]
        others = [
            make().start()
            for make in (
                lambda: Viewer(stack.url, SSE),
                lambda: Viewer(stack.url, NDJSON),
                lambda: Poller(stack.url, "counter"),
            )
            for _ in range(3)
        ]
        try:
            for viewer in (*texts, *others):
                viewer.wait_connected()
            assert all(viewer.values == [value] for viewer in others)
            until(lambda: polls_accepted(stack) >= polls + 3, "three polls that wait")
            stack.start_part("origin-1")
            until(
                lambda: answers(f"{stack.origin_urls[0]}/health/ready"),
                "the origin's return",
            )
            back = time.monotonic()
            for viewer in others:
                until(lambda v=viewer: v.values[-1] == value + 1, "the missed release", 10)
                viewer.assert_increasing()
            for viewer in texts:
                until(
                    lambda v=viewer: json.loads(v.lines[-1])["data"] == value + 1,
                    "the missed release, text",
                    10,
                )
            assert time.monotonic() - back < 10
            until(lambda: snapshot(stack.url, "counter")["value"] == value + 1, "a fresh answer")
            for _ in range(50):  # and never the stale one again
                assert snapshot(stack.url, "counter")["value"] == value + 1
            # Chained again: the next release arrives once, by the stream.
            post(stack.url, "counter", {"add": 1})
            for viewer in (witness, *others):
                until(lambda v=viewer: v.values[-1] == value + 2, "the next release")
                viewer.assert_increasing()
                assert viewer.failures == []
        finally:
            for viewer in (*texts, *others):
                viewer.close()
