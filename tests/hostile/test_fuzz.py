"""Random requests at the front door; afterwards every value is what was acknowledged, exactly.

tests/contract/test_openapi.py holds the answers to the document, through nginx too; here the
requests obey nothing.
"""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.viewers import Viewer, answers, post, snapshot, until
from tests.hostile.raw import conversation, exchange

NAME = "sum.fuzz"
LIMITS = settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
ENOUGH_S = 8.0
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["add", "set", ""]), inner, max_size=3)
    ),
    max_leaves=6,
)
# Small ones: an update that takes the sum out of 64 bits is the one that may be lost.
GOOD = st.integers(-1000, 1000).map(lambda number: {"add": number})


def _small(body: bytes) -> bool:
    """False for what is a good update by chance, but a large one."""
    try:
        number = json.loads(body)["add"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return True
    return not isinstance(number, int) or abs(number) <= 1_000_000


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    """A good update, any JSON, or either with some bytes of it exchanged."""
    body = json.dumps(draw(GOOD | JSON)).encode()
    if draw(st.booleans()):
        where = draw(st.integers(0, len(body)))
        body = body[:where] + draw(st.binary(max_size=3)) + body[where + draw(st.integers(0, 2)) :]
    return body


BODIES = _bodies().filter(_small)
TYPES = st.sampled_from(["application/json"] * 6 + ["application/json; charset=x", "text/plain"])
WORDS = [
    b"GET ", b"POST ", b"HEAD ", b"OPTIONS ", b"PURGE ", b"/", b"/values/counter", b"/values/",
    b"/stream", b"?as=json", b"&after=1", b"%2e%2e/", b"%00", b" HTTP/1.1", b" HTTP/1.0", b"\r\n",
    b"\n", b"\r", b"Host: a", b"Content-Length: 3", b"Content-Length: -1", b"Connection: close",
    b"Transfer-Encoding: chunked", b"Content-Type: application/json", b"Expect: x",
    b"Range: bytes=0-1", b"Grip-Sig: a", b":", b" ", b"\t", b"\0", b"0\r\n\r\n", b'{"add":1}',
]  # fmt: skip
STREAM = b"/values/counter?as=sse"


def _request(
    target: bytes, headers: bytes = b"", *, method: bytes = b"GET", version: bytes = b"1.1"
) -> bytes:
    head = method + b" " + target + b" HTTP/" + version + b"\r\nHost: a\r\n"
    return head + b"Connection: close\r\n" + headers + b"\r\n"


# Nonsense that names the client's fault: a 4xx (or 501, 505), and a problem.
NONSENSE = {
    "unknown coding": _request(b"/", b"Transfer-Encoding: x\r\n", method=b"POST"),
    "HTTP/2.0": _request(b"/", version=b"2.0"),
    "byte that is not ASCII": _request(b"/values/counter\xff"),
    "as in no language": _request(b"/values/counter?as=\xff"),
    "host": _request(b"/").replace(b"Host: a", b"Host: a b"),
}
# Nonsense that the part which meets it can't answer so: the edge without a body; Pushpin by a 500
# or a 502 in plain text, or by hanging up, and then nginx says 503. docs/contract.md says so.
REFUSED = {
    "70 headers": _request(b"/", b"".join(b"X-%d: 1\r\n" % number for number in range(70))),
    "control character": _request(b"/", b"X-A: a\x01b\r\n"),
    "70 headers, stream": _request(STREAM, b"".join(b"X-%d: 1\r\n" % n for n in range(70))),
    "9 kB of headers, stream": _request(STREAM, b"X-A: " + b"a" * 9_000 + b"\r\n"),
    "control character, stream": _request(STREAM, b"X-A: a\x01b\r\n"),
    "byte that is not ASCII, stream": _request(STREAM + b"&a=\xff"),
    "angle bracket, stream": _request(STREAM + b"&a=>"),
    "percent sign, stream": _request(STREAM + b"&a=%zz"),
    "body of a HEAD, stream": _request(STREAM, b"Content-Length: 1\r\n", method=b"HEAD") + b"a",
}
# Beginnings of requests, pulled apart and put together: most of them are nearly right.
HEADS = st.lists(st.sampled_from(WORDS) | st.binary(max_size=4), max_size=14).map(b"".join)


def test_any_body_is_counted_when_it_is_acknowledged_and_only_then(stack):
    assert post(stack.url, NAME, {"add": 0}).status_code == 202
    until(lambda: answers(f"{stack.url}/values/{NAME}"), "a first release")
    start = snapshot(stack.url, NAME)["value"]
    total = acknowledged = refused = 0
    deadline = time.monotonic() + ENOUGH_S
    with httpx.Client(base_url=stack.url, timeout=15) as client:

        @LIMITS
        @given(BODIES, TYPES)
        def tell(body: bytes, kind: str) -> None:
            nonlocal total, acknowledged, refused
            if time.monotonic() > deadline:
                return
            answer = client.post(f"/values/{NAME}", content=body, headers={"Content-Type": kind})
            if answer.status_code == 202:
                update: dict[str, Any] = json.loads(body)
                assert set(update) == {"add"}
                total, acknowledged = total + update["add"], acknowledged + 1
            else:
                assert answer.status_code in (400, 413, 415, 422), answer.text
                assert answer.headers["Content-Type"] == "application/problem+json"
                refused += 1

        tell()
    assert acknowledged > 20
    assert refused > 20
    # One more, which can't be mistaken for them: behind it they all have been applied.
    assert post(stack.url, NAME, {"add": 10**9}).status_code == 202
    until(lambda: snapshot(stack.url, NAME)["value"] > 5 * 10**8, "the last one")
    assert snapshot(stack.url, NAME)["value"] == start + total + 10**9


def test_any_bytes_are_answered_or_refused_and_change_nothing(stack):
    before = {name: snapshot(stack.url, name)["value"] for name in ("counter", "visits")}
    added = 0
    deadline = time.monotonic() + ENOUGH_S

    @LIMITS
    @given(HEADS)
    def send(sent: bytes) -> None:
        nonlocal added
        if b"stream" in sent or time.monotonic() > deadline:
            return
        received = exchange(stack.url, sent + b"\r\nHost: a\r\nConnection: close\r\n\r\n", end=True)
        added += received.count(b'"topic":"updates"')
        for part in received.split(b"HTTP/1.1 ")[1:]:
            # 501 and 505 name the client's fault: a coding or a version of HTTP that isn't spoken.
            assert part[:3] in (b"501", b"505") or part[:1] in b"234", received

    send()
    assert added == 0  # no complete update is among them; it would have to be counted below
    for name, value in before.items():
        assert snapshot(stack.url, name)["value"] == value
        assert post(stack.url, name, {"add": 1}).status_code == 202
        until(
            lambda n=name, v=value: snapshot(stack.url, n)["value"] == v + 1, f"{name}, still alive"
        )


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_is_answered_by_a_problem_that_names_the_clients_fault(stack, nonsense):
    received = exchange(stack.url, NONSENSE[nonsense])
    head = received.partition(b"\r\n\r\n")[0].lower()
    assert head.split()[1] in (b"501", b"505") or head.split()[1].startswith(b"4")
    assert b"content-type: application/problem+json" in head


@pytest.mark.parametrize("nonsense", REFUSED)
def test_other_nonsense_is_refused_and_nobody_else_notices(stack, nonsense):
    with Viewer(stack.url, STREAM.decode()) as witness:
        witness.wait_connected()
        status = exchange(stack.url, REFUSED[nonsense]).split(None, 2)[1]
        assert status in (b"400", b"500", b"502", b"503")
        assert answers(f"{stack.url}/values/counter")
        assert not witness.failures


def test_a_range_is_ignored(stack):
    """Values are small, and the edge's 416 would be no problem."""
    (whole,) = conversation(stack.url, _request(b"/values/counter"))
    for part in (b"0-3", b"99999-", b"-1"):
        sent = _request(b"/values/counter", b"Range: bytes=" + part + b"\r\n")
        (found,) = conversation(stack.url, sent)
        assert (found.status, found.body) == (200, whole.body)


@pytest.mark.parametrize("host", [b"a?", b"a#", b"a;b", b"a,b", b"[::1", b"a/..", b"a@b", b"a%00"])
def test_a_host_does_not_change_the_path_of_a_stream(stack, host):
    request = _request(b"/values/nobody?as=sse").replace(b"Host: a", b"Host: " + host)
    (answer,) = conversation(stack.url, request)
    assert answer.status == 400


@pytest.mark.parametrize("host", [b"a", b"a.example:80", b"127.0.0.1", b"[::1]:8080", b"a_b-c"])
def test_a_good_host_is_taken(stack, host):
    request = _request(b"/values/nobody?as=sse").replace(b"Host: a", b"Host: " + host)
    (answer,) = conversation(stack.url, request)
    assert answer.status == 404
