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

from tests.e2e.viewers import answers, post, snapshot, until
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


# Nonsense that no part answers as the contract has it: a 4xx (or 501, 505), and a problem.
UNSAID = {
    # nginx answers in HTML.
    "unknown coding": _request(b"/", b"Transfer-Encoding: x\r\n", method=b"POST"),
    "HTTP/2.0": _request(b"/", version=b"2.0"),
    # The edge answers without a body.
    "70 headers": _request(b"/", b"".join(b"X-%d: 1\r\n" % number for number in range(70))),
    "control character": _request(b"/", b"X-A: a\x01b\r\n"),
    "range beyond the end": _request(b"/values/counter", b"Range: bytes=99999-\r\n"),
    # gunicorn answers in HTML.
    "byte that is not ASCII": _request(b"/values/counter\xff"),
    # Pushpin closes without an answer: nginx says 503, try again.
    "70 headers, stream": _request(STREAM, b"".join(b"X-%d: 1\r\n" % n for n in range(70))),
    "9 kB of headers, stream": _request(STREAM, b"X-A: " + b"a" * 9_000 + b"\r\n"),
    "control character, stream": _request(STREAM, b"X-A: a\x01b\r\n"),
    "byte that is not ASCII, stream": _request(STREAM + b"&a=\xff"),
    "angle bracket, stream": _request(STREAM + b"&a=>"),
    # Pushpin answers by a 500 and a 502 in plain text.
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


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="answered by a part that knows no problem+json"
)
@pytest.mark.parametrize("nonsense", UNSAID)
def test_nonsense_is_answered_by_a_problem_that_names_the_clients_fault(stack, nonsense):
    received = exchange(stack.url, UNSAID[nonsense])
    head = received.partition(b"\r\n\r\n")[0].lower()
    assert head.split()[1] in (b"501", b"505") or head.split()[1].startswith(b"4")
    assert b"content-type: application/problem+json" in head


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="nginx hands on any Host, and Pushpin makes a URL of it",
)
@pytest.mark.parametrize("host", [b"a?", b"a#", b"a;b", b"a,b", b"[::1"])
def test_a_host_does_not_change_the_path_of_a_stream(stack, host):
    request = _request(b"/values/nobody?as=sse").replace(b"Host: a", b"Host: " + host)
    (answer,) = conversation(stack.url, request)
    assert answer.status == 400 or b"no value is called nobody" in answer.body
