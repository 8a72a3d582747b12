"""Redis wiped or rolled back under a live publisher: nothing lost, versions never go back."""

from __future__ import annotations

import shutil
import time

from tests.e2e.viewers import Viewer, answers, post, snapshot, until


def _increments(stack, count: int) -> None:
    for _ in range(count):
        assert post(stack.url, "visits", {"add": 1}).status_code == 202


def _aof(stack):
    return next((stack.dir / "redis" / "appendonlydir").glob("*.incr.aof"))


def _check(stack, viewer: Viewer, value: int) -> None:
    until(lambda: viewer.values[-1] == value, f"the exact value {value}", 30)
    until(lambda: snapshot(stack.url, "visits")["value"] == value, "the exact snapshot")
    _increments(stack, 5)
    until(lambda: viewer.values[-1] == value + 5, "updates after the loss")
    viewer.assert_increasing()
    assert viewer.resets == 0
    assert snapshot(stack.url, "visits")["version"] == viewer.versions[-1]


def test_a_rolled_back_redis_is_replayed(stack, redis_client):
    start = snapshot(stack.url, "visits")["value"]
    with Viewer(stack.url, "/values/visits?as=sse", reconnect=True) as viewer:
        _increments(stack, 10)
        until(lambda: viewer.values and viewer.values[-1] == start + 10, "the first ten")
        size = until(lambda: _written(stack, redis_client), "the AOF on disk")
        _increments(stack, 20)
        until(lambda: viewer.values[-1] == start + 30, "twenty more")
        stack.stop_part("redis")
        with _aof(stack).open("r+b") as file:
            file.truncate(size)
        stack.start_part("redis")
        _check(stack, viewer, start + 30)


def test_a_wiped_redis_is_rebuilt_from_kafka(stack):
    start = snapshot(stack.url, "visits")["value"]
    with Viewer(stack.url, "/values/visits?as=sse", reconnect=True) as viewer:
        _increments(stack, 10)
        until(lambda: viewer.values and viewer.values[-1] == start + 10, "the first ten")
        stack.stop_part("redis")
        shutil.rmtree(stack.dir / "redis" / "appendonlydir")
        stack.start_part("redis")
        _check(stack, viewer, start + 10)


def test_a_flushed_redis_is_rebuilt_too(stack, redis_client):
    start = snapshot(stack.url, "visits")["value"]
    with Viewer(stack.url, "/values/visits?as=sse", reconnect=True) as viewer:
        _increments(stack, 10)
        until(lambda: viewer.values and viewer.values[-1] == start + 10, "the first ten")
        redis_client.flushall()
        _check(stack, viewer, start + 10)


def test_updates_are_taken_while_redis_is_away(stack):
    start = snapshot(stack.url, "visits")["value"]
    with Viewer(stack.url, "/values/visits?as=sse", reconnect=True) as viewer:
        viewer.wait_connected()
        stack.stop_part("redis")
        try:
            until(lambda: not answers(f"{stack.origin_urls[0]}/health/ready"), "the origin to know")
            deadline = time.monotonic() + 3  # longer than the edge's probe takes to know it too
            taken = 0
            while time.monotonic() < deadline:
                _increments(stack, 1)
                taken += 1
        finally:
            stack.start_part("redis")
        _check(stack, viewer, start + taken)


def _written(stack, client) -> int:
    """The AOF's size once Redis has nothing more to write to it."""
    if client.info("persistence")["aof_buffer_length"]:
        return 0
    return _aof(stack).stat().st_size
