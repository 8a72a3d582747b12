"""Functions that answer WebSockets, behind Pushpin and the edge: the examples, and failures."""

from __future__ import annotations

import asyncio

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from loadtest.echo import play
from loadtest.function_rig import FunctionRig
from stack.serverless.bridge import WEBSOCKET_EVENTS
from tests.e2e.viewers import until

# The largest message that Pushpin 1.36 takes in an answer (examples/lambda_echo/README.md).
BINARY = bytes(range(256)) * 64
LARGE = BINARY * 8
TRY_AGAIN_LATER = 1013


def socket_of(rig, path="", **options):
    return connect(rig.url + path, proxy=None, ping_interval=None, open_timeout=30, **options)


def speaks_again(rig):
    """Whether a new socket is taken and echoed."""
    try:
        with socket_of(rig) as socket:
            socket.send("again")
            return socket.recv(30) == "again"
    except (InvalidStatus, ConnectionClosed):
        return False


def ask_again_and_again(socket):
    while True:
        socket.send("is it free?")
        socket.recv(30)


def test_a_crowd_of_sockets_is_echoed_each_in_its_order(rig):
    # More than 100 at once: as many requests as Pushpin puts into one pipe.
    echoes = asyncio.run(play(rig.url, 150, 3, at_once=False))
    assert echoes.failures == {}
    assert (echoes.answered, echoes.strays) == (450, 0)


def test_an_invocation_per_message_and_one_to_open_and_to_close(rig):
    before = rig.invocations()
    echoes = asyncio.run(play(rig.url, 4, 5, at_once=False))
    assert echoes.answered == 20
    after = rig.invocations()
    assert after["ok"] - before["ok"] == 4 * (1 + 5 + 1)


def test_text_bytes_and_pings_come_back_and_a_close_keeps_its_code(rig):
    with socket_of(rig) as socket:
        for message in ("", "é\u2028\r\n", "c:{}", "m:", b"", BINARY):
            socket.send(message)
            assert socket.recv(30) == message
        assert socket.ping(b"are you there").wait(30)
        socket.close(4001, "enough")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(30)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "enough")


def test_what_one_says_every_socket_hears(rig):
    with socket_of(rig, "broadcast") as first, socket_of(rig, "broadcast") as second:
        for speaker, message in ((first, "c:{} é"), (second, LARGE), (first, "last")):
            speaker.send(message)
            assert first.recv(30) == message
            assert second.recv(30) == message
        assert first.ping(b"x").wait(30)
        second.close(4002)
        first.send("still here")
        assert first.recv(30) == "still here"


@pytest.mark.parametrize("path", ["", "broadcast"])
def test_a_plain_request_is_no_socket(rig, path):
    answer = requests.get(rig.edge_url + path, timeout=30)
    assert answer.status_code == 400
    assert answer.text == "Not a WebSocket-over-HTTP request\n"


@pytest.mark.parametrize("path", ["", "broadcast"])
def test_events_that_pushpin_did_not_sign_are_refused(rig, path):
    headers = {"Content-Type": WEBSOCKET_EVENTS}
    answer = requests.post(rig.edge_url + path, data=b"OPEN\r\n", headers=headers, timeout=30)
    assert answer.status_code == 403


@pytest.mark.parametrize("fault", ["raise!", "exit!"])
def test_a_function_that_fails_closes_the_socket_with_try_again_later(rig, fault):
    with socket_of(rig) as socket:
        socket.send("before")
        assert socket.recv(30) == "before"
        socket.send(fault)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(30)
    assert closed.value.rcvd.code == TRY_AGAIN_LATER
    until(lambda: speaks_again(rig), "another try")


def test_too_slow_and_throttled_close_with_try_again_later_too(emulator):
    handler = "tests.serverless.functions.handler"
    with (
        FunctionRig(handler, environments=1, timeout_s=4, patience_s=1.5) as rig,
        socket_of(rig) as slow,
        socket_of(rig) as other,
    ):
        slow.send("sleep!")
        # Until the first message has the only environment.
        with pytest.raises(ConnectionClosed) as closed:
            ask_again_and_again(other)
        assert closed.value.rcvd.code == TRY_AGAIN_LATER
        with pytest.raises(ConnectionClosed) as closed:
            slow.recv(30)
        assert closed.value.rcvd.code == TRY_AGAIN_LATER
        outcomes = rig.invocations()
        assert outcomes["timeout"] == 1
        assert outcomes["throttled"] >= 1  # the answer to a close is an event as well
        until(lambda: speaks_again(rig), "another try")
