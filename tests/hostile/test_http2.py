"""Requests over HTTP/2 that would be other requests, or two, on the way in HTTP/1.1."""

from __future__ import annotations

from tests.e2e.viewers import answers, post, snapshot, until
from tests.front_door.raw_http2 import connect, fields

NAME = "sum.http2"
PATH = f"/values/{NAME}"
JSON = ("content-type", "application/json")
HIDDEN = f"POST {PATH} HTTP/1.1\r\nHost: a\r\n\r\n"
# Fields and a body; none of it may count as anything.
TWO_LENGTHS = ("content-length", "1"), ("content-length", "9")
REFUSED = {
    "chunked": (fields("POST", PATH, JSON, ("transfer-encoding", "chunked")), b"0\r\n\r\n"),
    "body longer than it says": (fields("POST", PATH, JSON, ("content-length", "1")), b"11"),
    "body shorter than it says": (fields("POST", PATH, JSON, ("content-length", "9")), b"{"),
    "two lengths": (fields("POST", PATH, JSON, *TWO_LENGTHS), b"1"),
    "line end in a value": (fields("GET", PATH, ("x-a", f"b\r\n\r\n{HIDDEN}")), b""),
    "line end in a name": (fields("GET", PATH, ("x-a: b\r\nx-c", "d")), b""),
    "line end in a path": (fields("GET", f"/ HTTP/1.1\r\nHost: a\r\n\r\n{HIDDEN}"), b""),
    "space in a path": (fields("GET", f"{PATH} HTTP/1.1"), b""),
    "space in a method": (fields(f"GET {PATH} HTTP/1.1 GET", PATH), b""),
    "upper case": (fields("GET", PATH, ("X-A", "b")), b""),
    "no path": ([field for field in fields("GET", "") if field[0] != ":path"], b""),
    "empty path": (fields("GET", ""), b""),
    "path of another host": (fields("GET", f"http://evil.example{PATH}"), b""),
    "bad authority": (fields("GET", PATH, authority="evil.example/?"), b""),
    "two hosts": (fields("GET", f"{PATH}?as=sse", ("host", "evil.example/?")), b""),
    "two authorities": ([*fields("GET", PATH), (":authority", "evil.example")], b""),
    "tunnel": (fields("CONNECT", PATH), b""),
    "unknown pseudo-field": (fields("GET", PATH, (":protocol", "websocket")), b""),
}  # fmt: skip


def test_what_is_no_clean_request_is_refused_and_changes_nothing(stack, tls_door):
    assert post(stack.url, NAME, {"add": 0}).status_code == 202
    until(lambda: answers(f"{stack.url}{PATH}"), "a first release")
    before = snapshot(stack.url, NAME)["value"]
    for trick, (asked, body) in REFUSED.items():
        with connect(tls_door) as client:
            answer = client.ask(asked, body)
        # nginx answers, or it ends the stream or the connection: nothing else may come of it.
        refused = 400 <= answer.status < 500
        assert refused or (not answer.status and (answer.reset or client.terminated)), trick
    with connect(tls_door) as client:
        answer = client.ask(fields("POST", PATH, JSON), b'{"add":1}')
        assert answer.status == 202
    until(lambda: snapshot(stack.url, NAME)["value"] > before, "an update")
    assert snapshot(stack.url, NAME)["value"] == before + 1


def test_a_body_that_is_too_large_gets_the_same_problem_as_ever(tls_door):
    with connect(tls_door) as client:
        answer = client.ask(fields("POST", PATH, JSON, ("content-length", "70000")), end=False)
        assert answer.status == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.body.startswith(b'{"type":"about:blank"')


def test_clients_can_not_pass_for_pushpin(tls_door):
    with connect(tls_door) as client:
        for name in ("grip-sig", "grip-last", "fastly-key"):
            answer = client.ask(fields("GET", "/values/counter", (name, "x")))
            assert answer.status == 200
            assert not [name for name in answer.headers if name.startswith(("grip-", "surrogate-"))]
