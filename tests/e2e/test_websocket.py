"""WebSockets through nginx, Pushpin and the edge, by an unmodified client library."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from holdfast.messages import MAX_SUBSCRIPTIONS
from holdfast.updates import MAX_VALUE_BYTES
from tests.e2e.gate import Gate
from tests.e2e.sockets import Socket
from tests.e2e.viewers import answers, post, snapshot, until

CONFIRMED_WITHIN_S = 3.5  # promise 2, for who sees the first confirm


@pytest.fixture(autouse=True)
def fast_values(stack):
    """So that a test needn't wait for tokens."""
    for name in ("counter", "visits", "headline"):
        stack.desk.call("PUT", f"values/{name}/rate", {"rate": 50, "burst": 50}, etag="*")
    yield
    for name in ("counter", "visits", "headline"):
        stack.desk.call("DELETE", f"values/{name}/rate", etag="*")


def _refused(stack, path):
    with (
        pytest.raises(InvalidStatus) as caught,
        connect(stack.url.replace("http", "ws", 1) + path),
    ):
        pass
    return caught.value.response


# -- one value


def test_a_value_is_shown_at_once_and_then_each_release_of_it(stack):
    before = snapshot(stack.url, "counter")
    with Socket(stack.url, "/values/counter") as socket:
        first = socket.wait_shown("counter")
        assert first == {"type": "value", **before}
        assert post(stack.url, "visits", {"add": 1}).status_code == 202
        for step in (1, 2, 3):
            assert post(stack.url, "counter", {"add": 1}).status_code == 202
            socket.wait_for("counter", before["value"] + step)
        releases = socket.shown("counter")
        assert [it["prev"] for it in releases[1:]] == [it["version"] for it in releases[:-1]]
        assert releases[-1] == {"type": "value", **snapshot(stack.url, "counter")}
        assert {it["name"] for it in socket.of("value")} == {"counter"}
        socket.assert_increasing("counter")


def test_an_update_is_answered_once_kafka_has_it_and_counts_once_for_each_key(stack):
    before = snapshot(stack.url, "counter")["value"]
    with Socket(stack.url, "/values/counter") as socket:
        key = str(uuid.uuid4())
        for _ in range(3):
            answer = socket.ask(type="add", value=2, key=key)
            assert (answer["type"], answer["name"], answer["topic"]) == (
                "accepted",
                "counter",
                "updates",
            )
            assert answer["offset"] >= 0
        # The same key over HTTP is the same update.
        again = httpx.post(
            f"{stack.url}/values/counter", json={"add": 2}, headers={"Idempotency-Key": key}
        )
        assert again.status_code == 202
        assert socket.ask(type="add", value=10)["type"] == "accepted"
        socket.wait_for("counter", before + 12)


def test_a_kafka_that_hangs_is_an_answer_to_try_again_and_nothing_counts_twice(stack):
    before = snapshot(stack.url, "counter")["value"]
    key = str(uuid.uuid4())
    kafka = stack.pid("kafka")
    with Socket(stack.url, "/values/counter") as socket:
        os.kill(kafka, signal.SIGSTOP)
        try:
            answer = socket.ask(type="add", value=2, key=key)
        finally:
            os.kill(kafka, signal.SIGCONT)
        assert (answer["type"], answer["status"], answer["retry"]) == ("error", 503, True)

        def taken() -> bool:
            return socket.ask(type="add", value=2, key=key)["type"] == "accepted"

        until(taken, "Kafka's acknowledgement", 60)
        assert socket.ask(type="add", value=10)["type"] == "accepted"
        socket.wait_for("counter", before + 12, 60)
        assert socket.closed is None


def test_a_value_of_the_largest_size_goes_both_ways(stack):
    text = "ä" * (MAX_VALUE_BYTES // 2 - 1)
    with Socket(stack.url, "/values/headline", max_size=None) as socket:
        assert socket.ask(type="set", value=text)["type"] == "accepted"
        socket.wait_for("headline", text)
        with Socket(stack.url, "/values/headline") as late:
            late.wait_for("headline", text)
        assert socket.ask(type="set", value=text + "a")["status"] == 413
        assert socket.ask(type="set", value=None)["type"] == "accepted"
        socket.wait_for("headline", None)


# -- many values


def test_one_connection_subscribes_to_many_values_and_leaves_them(stack):
    with Socket(stack.url) as socket:
        answer = socket.ask(type="subscribe", names=["counter", "visits", "counter"])
        assert answer == {"type": "subscribed", "id": 1, "names": ["counter", "visits"]}
        for name in ("counter", "visits"):
            assert socket.wait_shown(name) == {"type": "value", **snapshot(stack.url, name)}
            value = snapshot(stack.url, name)["value"] + 1
            assert socket.ask(type="add", name=name, value=1)["type"] == "accepted"
            socket.wait_for(name, value)
        assert socket.ask(type="unsubscribe", names=["visits"])["names"] == ["visits"]
        seen = len(socket.shown("visits"))
        assert socket.ask(type="add", name="visits", value=1)["type"] == "accepted"
        with Socket(stack.url, "/values/visits") as witness:
            witness.wait_for("visits", value + 1)
        value = snapshot(stack.url, "counter")["value"] + 1
        assert socket.ask(type="add", name="counter", value=1)["type"] == "accepted"
        socket.wait_for("counter", value)
        assert len(socket.shown("visits")) == seen
        for name in ("counter", "visits"):
            socket.assert_increasing(name)


def test_subscribing_again_shows_nothing_again(stack):
    with Socket(stack.url) as socket:
        assert socket.ask(type="subscribe", names=["visits"])["names"] == ["visits"]
        assert socket.ask(type="subscribe", names=["visits", "counter"])["names"] == [
            "visits",
            "counter",
        ]
        assert socket.ask(type="ping")["type"] == "pong"
        assert len(socket.shown("visits")) == len(socket.shown("counter")) == 1


def test_a_name_that_is_none_keeps_none_of_the_others_out(stack):
    with Socket(stack.url) as socket:
        names = ["nobody", "counter", f"sum.{uuid4()}", "x/../y", ""]
        socket.say(type="subscribe", id=7, names=names)
        first, *faults = socket.answers(7, 5)
        assert first["names"] == ["counter"]
        assert {it["name"]: it["status"] for it in faults} == dict.fromkeys(
            [name for name in names if name != "counter"], 404
        )
        assert all(it["retry"] is False for it in faults)
        socket.wait_shown("counter")


def test_a_connection_has_so_many_values_and_no_more(stack):
    # So that Pushpin itself drops none of them: the last one is live.
    names = [f"sum.ws-{number}" for number in range(MAX_SUBSCRIPTIONS + 1)]
    for name in names:
        stack.produce("updates", '{"add":1}', key=name)
    until(lambda: all(answers(f"{stack.url}/values/{name}") for name in names), "releases", 60)
    with Socket(stack.url) as socket:
        assert len(socket.ask(type="subscribe", names=names[:-1])["names"]) == MAX_SUBSCRIPTIONS
        refused = socket.ask(type="subscribe", names=names[-1:])
        assert (refused["status"], refused["name"]) == (422, names[-1])
        assert socket.ask(type="add", name=names[-2], value=1)["type"] == "accepted"
        socket.wait_for(names[-2], 2)
        assert socket.ask(type="unsubscribe", names=names[:1])["names"] == names[:1]
        assert socket.ask(type="subscribe", names=names[-1:])["names"] == names[-1:]
        assert socket.ask(type="add", name=names[-1], value=1)["type"] == "accepted"
        socket.wait_for(names[-1], 2)


# -- what is missed


@contextmanager
def _gate_before_edge(stack):
    """The Pushpin of WebSockets asks the edge through a gate."""
    routes = stack.dir / "websocket-1" / "routes"
    text = routes.read_text()

    def asked(gate):
        gate.seen.clear()
        with Socket(stack.url):
            pass
        return bool(gate.seen)

    with Gate(stack.varnish_urls[0]) as gate:
        edge_port = stack.varnish_urls[0].rpartition(":")[2]
        try:
            routes.write_text(text.replace(f":{edge_port},", f":{gate.port},"))
            until(lambda: asked(gate), "Pushpin's new route")
            yield gate
        finally:
            gate.open()
            routes.write_text(text)
            until(lambda: not asked(gate), "Pushpin's old route")


def test_a_release_between_a_snapshot_and_its_subscription_is_made_up_for(stack):
    """The snapshot is read, the subscription comes later, and what is published by then is lost."""
    with (
        _gate_before_edge(stack) as gate,
        Socket(stack.url) as many,
        Socket(stack.url, "/values/visits") as witness,
    ):
        before = witness.wait_shown("visits")["value"]
        gate.close("/")
        many.say(type="subscribe", id=1, names=["visits"])
        until(lambda: gate.held, "the answer with the old snapshot")
        assert post(stack.url, "visits", {"add": 1}).status_code == 202
        witness.wait_for("visits", before + 1)
        released = time.monotonic()
        gate.let_through(0)
        many.wait_for("visits", before)
        assert many.shown("visits")[-1]["value"] == before
        many.wait_for("visits", before + 1)
        assert time.monotonic() - released < CONFIRMED_WITHIN_S + 5  # a busy machine
        # By the confirm, and a client that knows versions can tell.
        (confirm,) = many.confirms("visits")
        assert confirm["version"] == witness.shown("visits")[-1]["version"]
        many.assert_increasing("visits")
        witness.assert_increasing("visits")


# -- parts that are away


def _wait_trusted(stack):
    """Until the edge asks the origin again: this answer is in no cache."""
    until(
        lambda: httpx.get(f"{stack.url}/values/nobody").status_code == 404,
        "the edge trusts the origin",
        60,
    )


def _opened(base, path) -> Socket | None:
    """None: refused. A path that was answered by an error is stale for a second, and opens none."""
    try:
        return Socket(base, path)
    except (InvalidStatus, OSError):
        return None


def test_an_origin_that_is_away_ends_no_connection_and_releases_go_on(stack):
    with Socket(stack.url) as socket, Socket(stack.url, "/values/counter") as silent:
        assert socket.ask(type="subscribe", names=["counter"])["type"] == "subscribed"
        before = socket.wait_shown("counter")["value"]
        os.killpg(os.getpgid(stack.pid("origin-1")), signal.SIGKILL)
        stack.stop_part("origin-1")
        try:
            errors = len(socket.of("error"))
            socket.say(type="ping")
            until(lambda: len(socket.of("error")) > errors, "an answer all the same")
            fault = socket.of("error")[-1]
            assert (fault["status"], fault["retry"]) == (503, True)
            stack.produce("updates", '{"add":1}', key="counter")
            for each in (socket, silent):
                each.wait_for("counter", before + 1)
            refusal = _refused(stack, "/values/counter")
            assert refusal.status_code == 503
            assert refusal.headers["content-type"] == "application/problem+json"
        finally:
            stack.start_part("origin-1")
            _wait_trusted(stack)
        # It remembers what it had subscribed to, though this is another process.
        assert socket.ask(type="subscribe", names=["counter", "visits"])["names"] == [
            "counter",
            "visits",
        ]
        assert len(socket.shown("counter")) == 2
        for each in (socket, silent):
            assert each.closed is None


def test_a_state_that_can_not_be_asked_is_an_error_and_no_subscription(stack, redis_client):
    with Socket(stack.url) as socket:
        assert socket.ask(type="ping")["type"] == "pong"
        stack.stop_part("redis")
        try:
            answer = socket.ask(type="subscribe", names=["counter"])
            assert (answer["status"], answer["retry"]) == (503, True)
            accepted = socket.ask(type="add", name="counter", value=1)
            assert accepted["type"] == "accepted"  # which needs Kafka alone
            assert _refused(stack, "/values/counter").status_code == 503
        finally:
            stack.start_part("redis")
            until(lambda: answers(f"{stack.origin_urls[0]}/health/ready"), "ready", 60)
            _wait_trusted(stack)
        assert socket.ask(type="subscribe", names=["counter"])["names"] == ["counter"]
        assert socket.closed is None


def test_a_pushpin_that_is_killed_ends_connections_and_a_new_one_takes_them(stack):
    with until(lambda: _opened(stack.url, "/values/counter"), "a socket", 60) as socket:
        value = socket.wait_shown("counter")["value"]
        os.killpg(os.getpgid(stack.pid("websocket-1")), signal.SIGKILL)
        until(lambda: socket.closed is not None, "the end")
        assert post(stack.url, "counter", {"add": 1}).status_code == 202

    with until(lambda: _opened(stack.url, "/values/counter"), "another Pushpin", 60) as again:
        again.wait_for("counter", value + 1)
        assert post(stack.url, "counter", {"add": 1}).status_code == 202
        again.wait_for("counter", value + 2)


# -- how it begins and ends


def test_what_is_no_value_is_refused_as_over_http(stack):
    refusal = _refused(stack, "/values/nobody")
    assert refusal.status_code == 404
    assert json.loads(refusal.body)["detail"] == "no value is called nobody"
    assert _refused(stack, "/values/counter/history").status_code == 200  # no socket: as ever
    assert _refused(stack, "/ws/").status_code == 404


def test_ws_without_an_upgrade_says_what_it_wants(stack):
    for query in ("", "?x=1"):
        answer = httpx.get(f"{stack.url}/ws{query}")
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
    assert httpx.post(f"{stack.url}/ws", json={}).status_code == 400
    assert httpx.get(f"{stack.url}/ws").headers["x-cache"] == "HIT"


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "away"), (4321, "so long")])
def test_a_closing_client_is_answered_with_its_own_code(stack, code, reason):
    with Socket(stack.url) as socket:
        assert socket.ask(type="ping")["type"] == "pong"
        socket.connection.close(code, reason)
        assert (socket.connection.close_code, socket.connection.close_reason) == (code, reason)


def test_a_ping_of_the_protocol_is_answered(stack):
    with Socket(stack.url) as socket:
        for payload in (b"", b"\x00\xff\r\n", b"x" * 125):
            assert socket.connection.ping(payload).wait(20)
