"""Races that lose updates in systems like this one, made to happen on purpose."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import contextmanager

import pytest

from tests.e2e.gate import Gate
from tests.e2e.pollers import Poller
from tests.e2e.viewers import Viewer, snapshot, until

PATHS = ("/values/counter?as=sse", "/stream")
NDJSON = "/values/counter?as=ndjson"
POLL = "/values/counter"


@pytest.fixture(autouse=True)
def fast_counter(stack):
    """So that a test needn't wait for tokens."""
    stack.desk.call("PUT", "values/counter/rate", {"rate": 50, "burst": 50}, etag="*")
    yield
    stack.desk.call("DELETE", "values/counter/rate", etag="*")


def _watch(stack, path: str) -> Viewer | Poller:
    return Poller(stack.url, "counter") if path == POLL else Viewer(stack.url, path)


def _newest(viewer: Viewer | Poller):
    if isinstance(viewer, Viewer) and viewer.path.startswith("/stream"):
        return json.loads(viewer.lines[-1])["data"] if viewer.lines else None
    return viewer.values[-1] if viewer.values else None


def _change(stack, redis_client) -> int:
    """Release and announce a change, past the origin's door; the new value."""
    before = redis_client.hgetall("value:counter")
    stack.produce("updates", '{"add":1}', key="counter")

    def announced():
        now = redis_client.hgetall("value:counter")
        return (
            now if now.get(b"announced") == now.get(b"version") != before.get(b"version") else None
        )

    return int(until(announced, "the announcement")[b"released"])


@contextmanager
def _gate_before_origin(stack):
    """The edge asks the origin through a gate."""
    folder = stack.dir / "varnish-1"
    with Gate(stack.origin_urls[0]) as gate:
        origin_port = stack.origin_urls[0].rpartition(":")[2]
        text = (folder / "default.vcl").read_text()
        raced = folder / f"raced-{gate.port}.vcl"
        raced.write_text(text.replace(f'.port = "{origin_port}"', f'.port = "{gate.port}"'))
        admin = ["varnishadm", "-n", str(folder / "work")]
        name = f"raced{gate.port}"
        subprocess.run([*admin, "vcl.load", name, str(raced)], check=True, capture_output=True)
        subprocess.run([*admin, "vcl.use", name], check=True, capture_output=True)
        try:
            yield gate
        finally:
            gate.open()
            subprocess.run([*admin, "vcl.use", "boot"], check=True, capture_output=True)


@contextmanager
def _gate_before_edge(stack):
    """Pushpin asks the edge through a gate; it notices a changed routes file by itself."""
    routes = stack.dir / "pushpin-1" / "routes"
    text = routes.read_text()
    with Gate(stack.varnish_urls[0]) as gate:
        edge_port = stack.varnish_urls[0].rpartition(":")[2]
        try:
            routes.write_text(text.replace(f":{edge_port}", f":{gate.port}"))
            until(lambda: _asked(stack, gate), "Pushpin's new route")
            yield gate
        finally:
            gate.open()
            routes.write_text(text)
            until(lambda: not _asked(stack, gate), "Pushpin's old route")


def _asked(stack, gate: Gate) -> bool:
    gate.seen.clear()
    with Viewer(stack.url, "/stream") as viewer:
        viewer.wait_connected()
    return bool(gate.seen)


@pytest.mark.parametrize(
    ("path", "part"),
    [*((path, part) for path in PATHS for part in ("head", "body")), (POLL, "body")],
)
def test_a_fill_that_a_purge_overtook_serves_nobody_the_old_value(stack, redis_client, path, part):
    old = _change(stack, redis_client)
    with _gate_before_origin(stack) as gate:
        gate.close(path, part)
        with _watch(stack, path) as slow:
            until(lambda: gate.held, "the slow fetch")
            new = _change(stack, redis_client)
            gate.open()
            until(lambda: _newest(slow) == new, "the new value at the viewer who waited", 6)
        assert new == old + 1
        _nobody_gets_less(stack, path, new)


@pytest.mark.parametrize("path", PATHS)
def test_nor_does_it_when_it_is_overtaken_until_the_retries_run_out(stack, redis_client, path):
    _change(stack, redis_client)
    with _gate_before_origin(stack) as gate:
        gate.close(path)
        with Viewer(stack.url, path) as slow:
            for number in range(3):
                until(lambda n=number: len(gate.held) > n, f"fetch {number}")
                new = _change(stack, redis_client)
                gate.let_through(number)
            gate.open()
            until(lambda: _newest(slow) == new, "the new value at the viewer who waited", 6)
        _nobody_gets_less(stack, path, new)


def _nobody_gets_less(stack, path: str, new: int) -> None:
    for _ in range(5):
        with _watch(stack, path) as viewer:
            viewer.wait_connected()
            assert _newest(viewer) == new
    assert snapshot(stack.url, "counter")["value"] == new


@pytest.mark.parametrize("path", [*PATHS, NDJSON, POLL])
def test_ten_viewers_between_snapshot_and_subscription_miss_nothing(stack, redis_client, path):
    old = _change(stack, redis_client)
    seen = snapshot(stack.url, "counter")["version"]
    with _gate_before_edge(stack) as gate, _watch(stack, path) as resident:
        # Pushpin makes everybody recover a second after it first subscribes to a channel: not what
        # is tried here.
        began = time.monotonic()
        resident.wait_connected()
        until(lambda: time.monotonic() - began > 1.5, "Pushpin's SUBSCRIBED_DELAY and more")
        gate.close(path)
        viewers = [
            Poller(stack.url, "counter", after=seen).start()
            if path == POLL
            else Viewer(stack.url, path).start()
            for _ in range(10)
        ]
        try:
            until(lambda: len(gate.held) == 10, "ten answers on their way")
            new = _change(stack, redis_client)
            gate.open()
            for viewer in viewers:
                until(lambda v=viewer: _newest(v) == new, "the release in between", 6)
                assert new == old + 1
                assert viewer.failures == []
                if path != "/stream":
                    viewer.assert_increasing()
                if path == POLL:
                    assert viewer.timeouts == 0
        finally:
            for viewer in viewers:
                viewer.close()


@pytest.mark.parametrize("path", [*PATHS, NDJSON])
def test_a_recovery_continues_in_the_representation_it_began_with(stack, redis_client, path):
    _change(stack, redis_client)
    # By Accept alone: the recovery that Pushpin makes carries none.
    mimetype = "application/x-ndjson" if path == NDJSON else "text/event-stream"
    plain, accept = (path.split("?")[0], {"Accept": mimetype})
    with (
        _gate_before_edge(stack) as gate,
        Viewer(stack.url, plain, headers=accept if path != plain else {}) as viewer,
    ):
        viewer.wait_connected()
        gate.seen.clear()
        # A broken chain: Pushpin hears of a version whose predecessor nobody has seen.
        redis_client.hincrby("value:counter", "version", 5)
        new = _change(stack, redis_client)
        until(lambda: _newest(viewer) == new, "the value after the gap", 6)
        until(lambda: any("recover" in seen for seen in gate.seen), "a recovery")
        if path == "/stream":
            assert all(line.startswith('{"data": ') for line in viewer.lines)
        else:
            viewer.assert_increasing()
        assert viewer.failures == []


def test_a_poll_whose_chain_broke_is_answered_at_once(stack, redis_client):
    _change(stack, redis_client)
    with _gate_before_edge(stack) as gate, Poller(stack.url, "counter") as poller:
        poller.wait_connected()
        until(lambda: any("after=" in seen for seen in gate.seen), "a held poll")
        gate.seen.clear()
        redis_client.hincrby("value:counter", "version", 5)
        new = _change(stack, redis_client)
        until(lambda: _newest(poller) == new, "the value after the gap", 6)
        # Pushpin asked again by itself: the client was not let go in between.
        assert poller.timeouts == 0
        assert poller.failures == []
        poller.assert_increasing()
