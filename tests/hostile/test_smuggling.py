"""Request smuggling: where does a request end? Whatever a client writes, all parts must agree.

Each attempt hides an update of `sum.smuggled` where only a part that reads lengths in another way
would find it, and asks for `headline` behind it, on the same connection.
"""

from __future__ import annotations

import json

import pytest

from tests.e2e.metrics import metric
from tests.e2e.viewers import answers, post, snapshot, until
from tests.hostile.raw import conversation, exchange

ADD = b'{"add":1}'
CHUNKS = b"9\r\n" + ADD + b"\r\n0\r\n\r\n"
HIDDEN = (
    b"POST /values/sum.smuggled HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b'Content-Length: 14\r\n\r\n{"add":424242}'
)
LAST = b"GET /values/headline HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def _post(headers: bytes, body: bytes, path: bytes = b"/values/visits") -> bytes:
    head = b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    return head + headers + b"\r\n\r\n" + body


def _get(headers: bytes = b"", target: bytes = b"/values/visits", method: bytes = b"GET") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n"


# What no part may guess at: refused, and nothing behind it is read as a request.
BAD_FRAMES = {
    "CL.TE": _post(
        b"Content-Length: %d\r\nTransfer-Encoding: chunked" % len(CHUNKS + HIDDEN), CHUNKS + HIDDEN
    ),
    "CL.TE, empty": _post(
        b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + HIDDEN
    ),
    "TE.CL": _post(b"Transfer-Encoding: chunked\r\nContent-Length: 9", ADD + HIDDEN),
    "unknown coding": _post(b"Transfer-Encoding: xchunked", CHUNKS + HIDDEN),
    "two codings": _post(b"Transfer-Encoding: chunked, identity", CHUNKS + HIDDEN),
    "identity": _post(b"Transfer-Encoding: identity\r\nContent-Length: 9", ADD + HIDDEN),
    "two TE": _post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x", CHUNKS + HIDDEN),
    "TE, space before the colon": _post(
        b"Transfer-Encoding : chunked\r\nContent-Length: 9", ADD + HIDDEN
    ),
    "TE, tab": _post(b"Transfer-Encoding:\tchunked\r\nContent-Length: 9", ADD + HIDDEN),
    "TE, vertical tab": _post(b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 9", ADD + HIDDEN),
    "TE, quoted": _post(b'Transfer-Encoding: "chunked"\r\nContent-Length: 9', ADD + HIDDEN),
    "TE, folded": _post(b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 9", ADD + HIDDEN),
    "negative chunk": _post(
        b"Transfer-Encoding: chunked", b"-9\r\n" + ADD + b"\r\n0\r\n\r\n" + HIDDEN
    ),
    "0x chunk": _post(b"Transfer-Encoding: chunked", b"0x9\r\n" + ADD + b"\r\n0\r\n\r\n" + HIDDEN),
    "chunk beyond 64 bits": _post(
        b"Transfer-Encoding: chunked", b"1" + b"0" * 15 + b"9\r\n" + ADD + HIDDEN
    ),
    "list of CL": _post(b"Content-Length: 9, 9", ADD + HIDDEN),
    "negative CL": _post(b"Content-Length: -1", ADD + HIDDEN),
    "hex CL": _post(b"Content-Length: 0x9", ADD + HIDDEN),
    "empty CL": _post(b"Content-Length: ", ADD + HIDDEN),
    "two numbers in CL": _post(b"Content-Length: 9 9", ADD + HIDDEN),
    "CL beyond 64 bits": _post(b"Content-Length: 99999999999999999999999", ADD + HIDDEN),
    "CL, space before the colon": _post(b"Content-Length : 9", ADD + HIDDEN),
    "folded CL": _post(b"Content-Length: \r\n 9", ADD + HIDDEN),
    "CR alone": _get(b"X-A: a\rX-B: b\r\n"),
    "NUL in a header": _get(b"X-A: a\0b\r\n"),
    "NUL in a header's name": _get(b"X\0A: b\r\n"),
    "NUL in the target": _get(target=b"/values/visits\0"),
    "obs-fold": _get(b"X-A: a\r\n b\r\n"),
    "space in the target": _get(target=b"/values/visits HTTP/1.1 /x"),
    "HTTP/2 without agreement": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}
# Pushpin reads these otherwise than nginx does, so there only nginx's reading is promised.
BAD_AT_NGINX = {
    "two CL, equal": _post(b"Content-Length: 9\r\nContent-Length: 9", ADD + HIDDEN),
    "two CL": _post(b"Content-Length: 9\r\nContent-Length: %d" % len(ADD + HIDDEN), ADD + HIDDEN),
    "plus in CL": _post(b"Content-Length: +9", ADD + HIDDEN),
    "chunks in HTTP/1.0": _post(b"Transfer-Encoding: chunked", CHUNKS).replace(b"1.1", b"1.0"),
    "CONNECT": _get(target=b"127.0.0.1:22", method=b"CONNECT"),
    "target without a slash": _get(target=b"127.0.0.1:22"),
    "file URL": _get(target=b"file:///etc/passwd"),
    "asterisk": _get(target=b"*", method=b"OPTIONS"),
    "no Host": b"GET /values/visits HTTP/1.1\r\n\r\n",
    "two Hosts": _get(b"Host: b\r\n"),
    "path in Host": b"GET /values/visits HTTP/1.1\r\nHost: a/../metrics\r\n\r\n",
    "method in lower case": _get(method=b"get"),
}
# One update, written strangely, but in one way only to be read.
GOOD_FRAMES = {
    "chunks": _post(b"Transfer-Encoding: chunked", CHUNKS),
    "upper case": _post(b"TRANSFER-ENCODING: CHUNKED", CHUNKS),
    "chunk extension": _post(b"Transfer-Encoding: chunked", b'9;x="\r\n' + ADD + b"\r\n0\r\n\r\n"),
    "trailer": _post(
        b"Transfer-Encoding: chunked",
        b"9\r\n" + ADD + b"\r\n0\r\nContent-Length: 99\r\nGrip-Sig: x\r\n\r\n",
    ),
    "zeros in CL": _post(b"Content-Length: 0000009", ADD),
    "bare LF": _post(b"Content-Length: 9", ADD).replace(b"\r\n", b"\n"),
    "TE with underscore": _post(b"Transfer_Encoding: chunked\r\nContent-Length: 9", ADD),
    "Expect": _post(b"Expect: 100-continue\r\nContent-Length: 9", ADD),
}
# A whole request as the body of another: bytes, nothing more.
CARRIERS = {
    "update": _post(b"Content-Length: %d" % len(HIDDEN), HIDDEN),
    "update of nobody": _post(b"Content-Length: %d" % len(HIDDEN), HIDDEN, b"/values/nobody"),
    "page": _post(b"Content-Length: %d" % len(HIDDEN), HIDDEN, b"/"),
    "GET": _get(b"Content-Length: %d\r\n" % len(HIDDEN)) + HIDDEN,
    "GET in chunks": (
        _get(b"Transfer-Encoding: chunked\r\n")
        + b"%x\r\n" % len(HIDDEN)
        + HIDDEN
        + b"\r\n0\r\n\r\n"
    ),
}


@pytest.fixture(autouse=True)
def _nothing_smuggled(stack):
    """After each attempt everybody gets the answer to the own question, and no other."""
    yield
    for base in (stack.url, stack.pushpin_url):
        for name in ("counter", "headline", "visits"):
            # A connection of its own for each: none of the pooled ones behind may be out of step.
            (found,) = conversation(
                base, _get(b"Connection: close\r\n", target=b"/values/" + name.encode())
            )
            assert found.status == 200
            assert json.loads(found.body)["name"] == name


def _updates(stack) -> float:
    """How many updates the origin was asked to take."""
    return metric(stack.origin_urls, "holdfast_origin_requests_total", method="POST")


def _assert_only_last(found) -> None:
    assert found.status == 200
    assert b'"name":"headline"' in found.body


@pytest.mark.parametrize("attempt", [*BAD_FRAMES, *BAD_AT_NGINX])
def test_nginx_refuses_what_can_be_read_in_two_ways(stack, attempt):
    before = _updates(stack)
    sent = {**BAD_FRAMES, **BAD_AT_NGINX}[attempt] + LAST
    (refusal,) = conversation(stack.url, sent)
    assert refusal.status in (400, 501)
    assert refusal.headers["connection"] == "close"
    assert _updates(stack) == before


@pytest.mark.parametrize("size", [2**63 - 1, 2**32 + 9, 65_537])
def test_nginx_does_not_wait_for_a_body_that_is_too_large(stack, size):
    before = _updates(stack)
    sent = _post(b"Content-Length: %d" % size, ADD + HIDDEN + LAST)
    (refusal,) = conversation(stack.url, sent, end=True)
    assert refusal.status == 413
    assert _updates(stack) == before


@pytest.mark.parametrize(
    ("way", "attempt"),
    # Pushpin 1.36 knows the coding by its name in lower case only, and closes at any other.
    [("nginx", name) for name in GOOD_FRAMES]
    + [("pushpin", name) for name in GOOD_FRAMES if name != "upper case"],
)
def test_what_can_be_read_in_one_way_is_one_update(stack, way, attempt):
    before = _updates(stack)
    base = stack.url if way == "nginx" else stack.pushpin_url
    taken, last = conversation(base, GOOD_FRAMES[attempt] + LAST)
    assert taken.status == 202
    assert b'"name":"visits"' in taken.body
    _assert_only_last(last)
    assert _updates(stack) == before + 1


@pytest.mark.parametrize("way", ["nginx", "pushpin"])
@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_request_in_a_body_is_no_request(stack, way, carrier):
    before = _updates(stack)
    base = stack.url if way == "nginx" else stack.pushpin_url
    first, last = conversation(base, CARRIERS[carrier] + LAST)
    assert first.status == (200 if carrier.startswith("GET") else first.status)
    assert first.status not in (201, 202)
    _assert_only_last(last)
    assert _updates(stack) == before + (not carrier.startswith("GET"))  # the carrier itself


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_a_body_under_a_stream_does_not_reach_the_next_client(stack, method):
    before = _updates(stack)
    carrier = _get(
        b"Connection: close\r\nContent-Length: %d\r\n" % len(HIDDEN),
        # An error, so that the stream ends.
        target=b"/values/nobody?as=sse",
        method=method,
    )
    for base in (stack.url, stack.pushpin_url):
        received = exchange(base, carrier + HIDDEN)
        assert received.startswith(b"HTTP/1.1 404" if method == b"GET" else b"HTTP/1.1 ")
        assert received.count(b"HTTP/1.1 ") == 1
    assert _updates(stack) == before


# Pushpin 1.36 goes by the chunks, but hands the wrong length on: the edge waits for the rest.
TAKEN_BY_PUSHPIN = {"CL.TE", "CL.TE, empty"}


@pytest.mark.parametrize("attempt", [name for name in BAD_FRAMES if name not in TAKEN_BY_PUSHPIN])
def test_pushpin_lets_nothing_through_that_can_be_read_in_two_ways(stack, attempt):
    before = _updates(stack)
    # It closes without an answer.
    assert exchange(stack.pushpin_url, BAD_FRAMES[attempt] + LAST) == b""
    assert _updates(stack) == before


@pytest.mark.parametrize("attempt", ["two CL", *sorted(TAKEN_BY_PUSHPIN)])
def test_two_lengths_smuggle_nothing_through_pushpin(stack, attempt):
    """Pushpin 1.36 reads a body by the last Content-Length and forwards it under the first. The
    edge reads one request with a body, answers, and closes (fastly/edge.vcl).
    """
    before = _updates(stack)
    sent = {**BAD_FRAMES, **BAD_AT_NGINX}[attempt] + LAST
    received = exchange(stack.pushpin_url, sent, most_s=2.0)
    assert b"sum.smuggled" not in received
    assert _updates(stack) <= before + 1


@pytest.mark.parametrize("way", ["nginx", "pushpin"])
def test_pipelined_requests_are_answered_in_order(stack, way):
    before = _updates(stack)
    names = [b"counter", b"nobody", b"headline", b"visits", b"counter"]
    sent = b"".join(_get(target=b"/values/" + name) for name in names)
    sent += _post(b"Content-Length: 9", ADD) + LAST
    base = stack.url if way == "nginx" else stack.pushpin_url
    found = conversation(base, sent)
    assert [answer.status for answer in found] == [200, 404, 200, 200, 200, 202, 200]
    for name, answer in zip(names, found, strict=False):
        assert name in answer.body
    assert _updates(stack) == before + 1  # this is how a smuggled one would be seen


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://elsewhere.example/values/headline", 200),
        (b"https://elsewhere.example:1/values/headline", 200),
        (b"http://127.0.0.1:6081/metrics", 404),
        (b"http://elsewhere.example/service/holdfast/purge_all", 404),
    ],
)
def test_an_absolute_target_leads_nowhere_else(stack, target, status):
    (found,) = conversation(stack.url, _get(b"Connection: close\r\n", target=target))
    assert found.status == status


@pytest.mark.parametrize("way", ["nginx", "pushpin", "varnish"])
@pytest.mark.parametrize("query", [b"", b"?as=json", b"?as=sse"])
def test_line_ends_in_a_path_stay_in_the_path(stack, way, query):
    before = _updates(stack)
    target = b"/values/x%20HTTP/1.1%0d%0aHost:%20a%0d%0a%0d%0aPOST%20/values/sum.smuggled" + query
    base = {"nginx": stack.url, "pushpin": stack.pushpin_url, "varnish": stack.varnish_urls[0]}
    (found,) = conversation(base[way], _get(b"Connection: close\r\n", target=target))
    assert found.status == 404
    assert _updates(stack) == before


def test_after_all_that_no_hidden_update_counted(stack):
    # A value of its own partition and order: behind this one nothing of the above can come.
    assert post(stack.url, "sum.smuggled", {"add": 1}).status_code == 202
    until(lambda: answers(f"{stack.url}/values/sum.smuggled"), "a first release")
    assert snapshot(stack.url, "sum.smuggled")["value"] == 1
