"""The examples' functions, where no gateway stands in between."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode

import jwt
import pytest

from examples.lambda_echo import broadcast, echo

KEY = "the key that Pushpin signs with, 32 bytes"
EVENTS = "application/websocket-events"


@pytest.fixture(params=[echo, broadcast], ids=["echo", "broadcast"])
def example(request, monkeypatch):
    monkeypatch.setenv("GRIP_KEY", KEY)
    return request.param


def ask(example, body, content_type=EVENTS, key=KEY, expires_in=60):
    signature = jwt.encode({"iss": "pushpin", "exp": int(time.time()) + expires_in}, key)
    event = {
        "headers": {"content-type": content_type, "grip-sig": signature},
        "isBase64Encoded": True,
        "body": b64encode(body).decode(),
    }
    return example.handler(event, None)


@pytest.mark.parametrize(
    "body",
    [b"PING 5\r\nabc", b"PING 5\r\nabcde", b"PING 5\r\nabcde\r", b"OPEN\r\nPING 1\r\n"],
)
def test_events_that_are_cut_short_are_refused(example, body):
    assert ask(example, body)["statusCode"] == 400


def test_a_keep_alive_without_events_is_answered_by_none(example):
    answer = ask(example, b"")
    assert (answer["statusCode"], b64decode(answer["body"])) == (200, b"")


def test_a_false_or_old_signature_is_refused(example):
    assert ask(example, b"OPEN\r\n")["statusCode"] == 200
    assert ask(example, b"OPEN\r\n", key=KEY[::-1])["statusCode"] == 403
    assert ask(example, b"OPEN\r\n", expires_in=-60)["statusCode"] == 403


def test_another_content_type_is_no_socket(example):
    answer = ask(example, b"OPEN\r\n", content_type="application/json")
    assert answer["statusCode"] == 400
    assert answer["body"] == "Not a WebSocket-over-HTTP request\n"


def test_what_a_disconnected_client_leaves_needs_no_answer(example):
    answer = ask(example, b"DISCONNECT\r\n")
    assert (answer["statusCode"], b64decode(answer["body"])) == (200, b"")


def test_they_are_short():
    for example in (echo, broadcast):
        with open(example.__file__) as lines:
            assert sum(1 for _ in lines) < 40
