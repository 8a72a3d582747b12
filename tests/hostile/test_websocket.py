"""WebSockets whose clients mean no good, and requests that only look like a socket's."""

from __future__ import annotations

import json
import struct
import time
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from holdfast.updates import MAX_BODY_BYTES
from origin.socket_memory import BURST
from tests.e2e.metrics import metric
from tests.e2e.sockets import Socket
from tests.e2e.viewers import snapshot, until
from tests.hostile.raw import connect as connect_raw
from tests.hostile.raw import exchange, parse
from tests.hostile.test_grip_headers import FORGERIES, GRIP, INTERNAL

EVENTS = {"Content-Type": "application/websocket-events"}
ADD = b'{"type":"add","value":1000000}'
FORGED = b"TEXT %x\r\n%b\r\n" % (len(ADD), ADD)
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
VERSION = "Sec-WebSocket-Version: 13"


def _handshake(path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: websocket"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def _frame(data: bytes, opcode: int = 1) -> bytes:
    mask = b"mask"
    head = bytes([0x80 | opcode])
    if len(data) < 126:
        head += bytes([0x80 | len(data)])
    elif len(data) < 65_536:
        head += bytes([0x80 | 126]) + struct.pack(">H", len(data))
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", len(data))
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))


def _still_answers(socket: Socket) -> bool:
    return socket.ask(type="ping")["type"] == "pong"


# -- requests that look like a socket's


@pytest.mark.parametrize("path", ["/ws", "/values/visits"])
def test_events_from_outside_are_nobodys(stack, path):
    """nginx takes Grip-Sig off whatever a client sends."""
    before = snapshot(stack.url, "visits")
    for forgery in (None, *FORGERIES.values()):
        for body in (b"OPEN\r\n", FORGED):
            headers = {**EVENTS, "Meta-Socket": "500/0/", "Sec-WebSocket-Extensions": "grip"}
            if forgery is not None:
                headers["Grip-Sig"] = forgery(stack.grip_key)
            answer = httpx.post(stack.url + path, content=body, headers=headers)
            assert answer.status_code == 403
            assert b"OPEN" not in answer.content
    assert snapshot(stack.url, "visits") == before


@pytest.mark.parametrize("forgery", FORGERIES)
def test_each_event_is_verified(stack, forgery):
    headers = {**EVENTS, "Grip-Sig": FORGERIES[forgery](stack.grip_key)}
    before = snapshot(stack.url, "visits")
    for base in (stack.varnish_urls[0], stack.origin_urls[0]):
        answer = httpx.post(
            f"{base}/values/visits", content=FORGED, headers={**headers, "Meta-Socket": "500/0/"}
        )
        assert answer.status_code == 403
    # What opens a socket is verified when it is not in the cache.
    httpx.post(
        f"{stack.varnish_urls[0]}/service/holdfast/purge/value:visits",
        headers={"Fastly-Key": stack.fastly_key},
    ).raise_for_status()
    answer = httpx.post(
        f"{stack.varnish_urls[0]}/values/visits", content=b"OPEN\r\n", headers=headers
    )
    assert answer.status_code == 403
    assert snapshot(stack.url, "visits") == before


def test_what_opens_a_socket_is_not_for_clients(stack):
    for path in ("/ws?as=socket", "/values/visits?as=socket"):
        assert httpx.get(stack.url + path).status_code == 400
        assert httpx.get(stack.origin_urls[0] + path).status_code == 403


# -- handshakes


def test_headers_of_a_handshake_change_nothing(stack):
    names = {**GRIP, **dict.fromkeys(INTERNAL, "yes")}
    names |= {"Meta-Socket": "0/9999999999999/", "Set-Meta-Socket": "0/0/", "Connection-Id": "x"}
    names |= {"Grip-Sig": "forged", "Accept": "text/html", "Sec-WebSocket-Extensions": "grip"}
    names |= EVENTS
    headers = {name: value for name, value in names.items() if name != "Sec-WebSocket-Extensions"}
    before = snapshot(stack.url, "visits")
    with Socket(stack.url, "/values/visits", additional_headers=headers) as socket:
        assert socket.wait_shown("visits") == {"type": "value", **before}
        assert _still_answers(socket)
        told = {name.lower() for name in socket.connection.response.headers}
        assert not [
            name for name in told if name.startswith(("grip", "set-meta", "surrogate", "x-s"))
        ]
    assert snapshot(stack.url, "visits") == before


@pytest.mark.parametrize("lacks", ["key", "version", "right version", "right key"])
def test_what_is_no_handshake_is_a_plain_request(stack, lacks):
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    if lacks != "key":
        headers["Sec-WebSocket-Key"] = "short" if lacks == "right key" else KEY.split(": ")[1]
    if lacks != "version":
        headers["Sec-WebSocket-Version"] = "8" if lacks == "right version" else "13"
    for path, status in (("/ws", 400), ("/values/visits", 200), ("/values/nobody", 404)):
        answer = httpx.get(stack.url + path, headers=headers)
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("application/")


def test_a_body_of_a_handshake_is_no_request(stack):
    hidden = b"GET /values/headline HTTP/1.1\r\nHost: a\r\n\r\n"
    for path in ("/ws", "/values/nobody"):
        handshake = _handshake(path, KEY, VERSION, f"Content-Length: {len(hidden)}", body=hidden)
        answers = parse(exchange(stack.url, handshake * 3, most_s=1))
        assert [answer.status for answer in answers] == [400 if path == "/ws" else 404] * 3


# -- messages


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'"ping"', 400),
        (b"{}", 400),
        (b'{"type":"shout"}', 400),
        (b'{"type":["ping"]}', 400),
        (b"\xff\xfe", 400),
        (b'{"type":"ping","id":{}}', 422),
        (b'{"type":"ping","id":"%b"}' % (b"x" * 65), 422),
        (b'{"type":"ping","id":1e400}', 422),
        (b'{"type":"ping","and":1}', 422),
        (b'{"type":"subscribe"}', 422),
        (b'{"type":"subscribe","names":"visits"}', 422),
        (b'{"type":"subscribe","names":[]}', 422),
        (b'{"type":"subscribe","names":[1]}', 422),
        (b'{"type":"subscribe","names":["visits"]}'.replace(b"visits", b"x" * 40_000), 413),
        (b'{"type":"unsubscribe","names":null}', 422),
        (b'{"type":"add","value":1}', 422),
        (b'{"type":"add","name":"visits"}', 422),
        (b'{"type":"add","name":"visits","value":1.5}', 422),
        (b'{"type":"add","name":"visits","value":true}', 422),
        (b'{"type":"add","name":"visits","value":9223372036854775808}', 422),
        (b'{"type":"set","name":"visits","value":1}', 422),
        (b'{"type":"add","name":"price.BTC","value":1}', 422),
        (b'{"type":"add","name":"nobody","value":1}', 404),
        (b'{"type":"add","name":"visits","value":1,"key":"a,b"}', 400),
        (b'{"type":"add","name":"visits","value":1,"key":7}', 422),
        (b'{"type":"set","name":"headline","value":%b}' % (b"[" * 5000 + b"]" * 5000), 422),
        (b" " * (MAX_BODY_BYTES + 1), 413),
    ],
)
def test_a_bad_message_gets_an_error_and_nothing_else(stack, message, status):
    before = snapshot(stack.url, "visits")
    with connect_raw(stack.url) as peer:
        peer.sendall(_handshake("/ws", KEY, VERSION) + _frame(message) + _frame(b'{"type":"ping"}'))
        received = b""
        while b'"pong"' not in received:
            received += peer.recv(65_536)
    text = received[received.index(b'{"type"') :].decode(errors="replace")
    document, _ = json.JSONDecoder().raw_decode(text)
    assert (document["type"], document["status"], document["retry"]) == ("error", status, False)
    assert snapshot(stack.url, "visits") == before


def test_binary_messages_and_other_peoples_words_are_errors(stack):
    with Socket(stack.url, "/values/visits") as socket:
        socket.connection.send(b"\x00\xff")
        until(lambda: socket.of("error"), "an error")
        assert socket.of("error")[-1]["status"] == 400
        for message in (
            {"type": "subscribe", "names": ["counter"]},
            {"type": "unsubscribe", "names": ["visits"]},
            {"type": "add", "name": "visits", "value": 1},
            {"type": "add", "name": "counter", "value": 1},
        ):
            assert socket.ask(**message)["status"] == 422
        # Pushpin's own words, and those of this service, mean nothing from a client.
        socket.connection.send('c:{"type":"subscribe","channel":"value:counter"}')
        socket.connection.send('m:{"type":"ping"}')
        assert socket.ask(type="value", name="visits", value=7)["status"] == 400
        assert _still_answers(socket)
        assert {it["name"] for it in socket.of("value")} == {"visits"}


def test_a_flood_is_passed_over_and_the_connection_stays(stack):
    with Socket(stack.url) as socket:
        for number in range(1000):
            socket.say(type="subscribe", names=["counter"], id=number)
        socket.say(type="ping")

        def answered() -> bool:
            over = sum(int(it["detail"].split()[2]) for it in socket.of("error"))
            return len(socket.of("subscribed")) + len(socket.of("pong")) + over == 1001

        until(answered, "an answer to everything", 60)
        assert len(socket.of("subscribed")) >= BURST
        assert all((it["status"], it["retry"]) == (429, True) for it in socket.of("error"))
        assert len(socket.shown("counter")) == 1
        # And later it is heard again.
        until(lambda: socket.ask(type="ping")["type"] == "pong", "its turn")


def test_empty_frames_by_the_thousand_do_not_keep_others_waiting(stack):
    with connect_raw(stack.url) as peer, Socket(stack.url) as other:
        peer.sendall(_handshake("/ws", KEY, VERSION) + _frame(b"") * 20_000)
        began = time.monotonic()
        assert _still_answers(other)
        assert time.monotonic() - began < 20
        received = b""
        while b"were not looked at" not in received:
            received += peer.recv(65_536)


def test_more_than_pushpin_takes_ends_that_connection_alone(stack):
    with Socket(stack.url) as other, Socket(stack.url) as socket:
        socket.connection.send("x" * 250_000)
        until(lambda: socket.closed is not None, "its end")
        assert _still_answers(other)


def test_snapshots_of_more_than_an_answer_carries_are_asked_for_again(stack):
    """200 values of 16 kB are three times what Pushpin takes."""
    names = [f"big.{number}" for number in range(60)]
    for name in names:
        stack.produce("updates", json.dumps({"set": "x" * 16_000}), key=name)
    until(
        lambda: all(httpx.get(f"{stack.url}/values/{name}").status_code == 200 for name in names),
        "releases",
        60,
    )
    with Socket(stack.url, max_size=None) as socket:
        missing, asked = names, 0
        while missing:
            asked += 1
            faults = _refused(socket, asked, missing)
            assert all((it["status"], it["retry"]) == (429, True) for it in faults)
            assert len(faults) < len(missing)
            missing = [it["name"] for it in faults]
        assert 1 < asked < 10
        until(lambda: {it["name"] for it in socket.of("value")} == set(names), "all of them")


def _refused(socket: Socket, id_: int, names: list[str]) -> list[dict[str, Any]]:
    """The errors of a subscription to `names`, once there is a word on each."""
    socket.say(type="subscribe", names=names, id=id_)

    def all_said() -> bool:
        mine = [it for it in socket.messages if it.get("id") == id_]
        return sum(len(it.get("names", [0])) for it in mine) == len(names)

    until(all_said, "a word on each", 60)
    return [it for it in socket.of("error") if it.get("id") == id_]


# -- what it costs


def test_connecting_and_leaving_ask_the_origin_nothing_while_nothing_changes(stack):
    def asked() -> float:
        return metric(
            stack.origin_urls,
            "holdfast_origin_requests_total",
            lambda labels: labels["route"] in ("/ws", "/values/<name>"),
        )

    for path in ("/ws", "/values/visits"):
        with Socket(stack.url, path):
            pass
    before = asked()
    for _ in range(20):
        for path in ("/ws", "/values/visits"):
            with connect_raw(stack.url) as peer:  # who leaves without a word
                peer.sendall(_handshake(path, KEY, VERSION))
                assert peer.recv(65_536).startswith(b"HTTP/1.1 101 ")
    assert asked() - before <= 2  # a brief copy of something else may have run out


def test_a_socket_for_nobody_is_a_404_that_is_kept_for_a_second(stack):
    def asked() -> float:
        return metric(stack.origin_urls, "holdfast_origin_requests_total", status="404")

    before = asked()
    for _ in range(30):
        with (
            pytest.raises(InvalidStatus) as caught,
            connect(stack.url.replace("http", "ws", 1) + "/values/sum.nobody-yet"),
        ):
            pass
        assert caught.value.response.status_code == 404
    assert asked() - before < 25
