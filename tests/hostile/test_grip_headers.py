"""GRIP is between the origin, the edge and Pushpin: a client can't speak it, nor hear it."""

from __future__ import annotations

import re
import time

import httpx
import jwt
import pytest

from stack.layout import REPO
from tests.e2e.viewers import Viewer, post, snapshot, until
from tests.hostile.raw import exchange

STREAMS = ("/values/counter?as=sse", "/stream")


def _token(key: str, **claims) -> str:
    return jwt.encode({"iss": "pushpin", **claims}, key, algorithm="HS256")


def _soon() -> int:
    return int(time.time()) + 3600


WRONG_KEY = "0" * 64
FORGERIES = {
    "garbage": lambda _: "forged",
    "empty": lambda _: "",
    "wrong key": lambda _: _token(WRONG_KEY, exp=_soon()),
    "expired": lambda key: _token(key, exp=int(time.time()) - 60),
    "without an end": lambda key: _token(key),
    "alg none": lambda _: jwt.encode({"iss": "pushpin", "exp": _soon()}, "", algorithm="none"),
    "not a signature's": lambda key: _token(key, exp=_soon()).rsplit(".", 1)[0] + ".",
    "bits of it": lambda key: _token(key, exp=_soon())[:-4],
}
# What a client might hope that some part takes from it. Every name that the VCL works with.
VCL = "".join(file.read_text() for file in sorted((REPO / "fastly").glob("*.vcl")))
INTERNAL = sorted(set(re.findall(r"\breq\.http\.((?:X-|Holdfast-)[A-Za-z-]+)", VCL)))
GRIP = {
    "Grip-Hold": "stream",
    "Grip-Channel": "value:visits, value:headline, updates, stale",
    "Grip-Link": "</values/visits?recover&as=sse>; rel=next",
    "Grip-Keep-Alive": "forged; timeout=1",
    "Grip-Timeout": "1",
    "Grip-Status": "500",
    "Grip-Set-Meta": "a=b",
    "Grip-Feature": "status, session",
    "Grip-Last": "value:counter; last-id=7",
    "Surrogate-Key": "value:visits",
    "Surrogate-Control": "max-age=999999",
    "Surrogate-Capability": 'a="Surrogate/1.0 ESI/1.0"',
    "xkey": "value:visits",
}


def _assert_nothing_internal(headers) -> None:
    names = [name.lower() for name in headers]
    internal = {name.lower() for name in INTERNAL}
    assert [
        name
        for name in names
        if name.startswith(("grip-", "surrogate-", "holdfast-"))
        or name in internal
        or name == "xkey"
    ] == []


def _plain(stack) -> tuple[int, bytes]:
    answer = httpx.get(f"{stack.url}/values/counter")
    return answer.status_code, answer.content


def _purge(stack) -> None:
    """So that what a hostile client asks for is what the edge would keep."""
    answer = httpx.post(
        f"{stack.varnish_urls[0]}/service/holdfast/purge/value:counter",
        headers={"Fastly-Key": stack.fastly_key},
    )
    assert answer.status_code == 200


@pytest.fixture(params=["nginx", "pushpin", "varnish"])
def base(stack, request):
    return {
        "nginx": stack.url,
        "pushpin": stack.pushpin_url,
        "varnish": stack.varnish_urls[0],
    }[request.param]


def test_the_list_of_internal_names_is_there():
    assert {"X-After", "X-Hold", "X-Stale-Ok", "X-Purge-Allowed", "X-Has-Stale"} <= set(INTERNAL)


@pytest.mark.parametrize("value", ["yes", "7", "/metrics", "*"])
def test_what_the_edge_notes_for_itself_can_not_be_claimed(stack, base, value):
    wanted = _plain(stack)
    for cached in (True, False):
        if not cached:
            _purge(stack)
        answer = httpx.get(f"{base}/values/counter", headers=dict.fromkeys(INTERNAL, value))
        assert (answer.status_code, answer.content) == wanted
        _assert_nothing_internal(answer.headers)
        assert _plain(stack) == wanted


@pytest.mark.parametrize("header", [*GRIP, "all"])
def test_grip_in_a_snapshots_request_changes_nothing(stack, header):
    wanted = _plain(stack)
    headers = GRIP if header == "all" else {header: GRIP[header]}
    for base in (stack.url, stack.pushpin_url):
        _purge(stack)
        answer = httpx.get(f"{base}/values/counter", headers=headers)
        assert (answer.status_code, answer.content) == wanted
        _assert_nothing_internal(answer.headers)
        assert _plain(stack) == wanted


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_signature_on_the_way_in_is_nobodys(stack, forgery):
    """nginx takes it off and Pushpin sets its own: the client gets a stream like all others."""
    headers = {**GRIP, "Grip-Sig": FORGERIES[forgery](stack.grip_key)}
    newest = snapshot(stack.url, "counter")["value"]
    for base in (stack.url, stack.pushpin_url):
        for path in STREAMS:
            _purge(stack)
            with httpx.stream("GET", base + path, headers=headers, timeout=10) as answer:
                assert answer.status_code == 200
                _assert_nothing_internal(answer.headers)
                assert str(newest).encode() in next(answer.iter_raw())
            with Viewer(stack.url, path) as viewer:
                viewer.wait_connected()
        answer = httpx.get(f"{base}/values/counter", headers=headers)
        assert answer.status_code == 200
        _assert_nothing_internal(answer.headers)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_at_the_edge_itself_a_forged_signature_gets_no_stream(stack, forgery):
    sent = {"Grip-Sig": FORGERIES[forgery](stack.grip_key)}
    for number, path in enumerate(("/values/counter?as=sse&after=", "/stream?after=")):
        # Not in the cache under any signature.
        own = f"{path}{time.time_ns() // 1000 + number}"
        answer = httpx.get(stack.varnish_urls[0] + own, headers=sent)
        assert answer.status_code == 403
        _assert_nothing_internal(answer.headers)
        plain = httpx.get(stack.varnish_urls[0] + own)
        assert plain.status_code == 200
        _assert_nothing_internal(plain.headers)


def test_at_the_edge_itself_a_forged_signature_hears_nothing_that_is_secret(stack):
    """Only misses are verified, so whoever reaches the edge itself sees how a cached hold is made:
    the name and the version that everybody is told, and where to ask for them again.
    """
    with Viewer(stack.url, STREAMS[0]) as viewer:
        viewer.wait_connected()  # now Pushpin's copy is in the cache
        answer = httpx.get(stack.varnish_urls[0] + STREAMS[0], headers={"Grip-Sig": "forged"})
    told = {
        "Grip-Hold": "stream",
        "Grip-Channel": f"value:counter; prev-id={snapshot(stack.url, 'counter')['version']}",
        "Grip-Link": "</values/counter?recover&as=sse>; rel=next",
        "Grip-Keep-Alive": r":\n\n; format=cstring; timeout=20",
    }
    assert {name: answer.headers[name] for name in told} == told
    _assert_nothing_internal(set(answer.headers) - {name.lower() for name in told})


def test_an_update_says_nothing_internal(stack, base):
    answer = httpx.post(f"{base}/values/visits", json={"add": 0}, headers=GRIP)
    assert answer.status_code == 202
    _assert_nothing_internal(answer.headers)


def test_nobody_hears_another_channel_than_the_one_that_was_asked_for(stack):
    headers = {**GRIP, "Grip-Sig": _token(WRONG_KEY, exp=_soon())}
    paths = ("/values/counter?as=sse", "/values/counter?as=sse&Grip-Channel=value:visits")
    viewers = [
        Viewer(base, path, headers=headers).start()
        for base in (stack.url, stack.pushpin_url)
        for path in paths
    ]
    witness = Viewer(stack.url, "/values/visits?as=sse").start()
    try:
        for viewer in (*viewers, witness):
            viewer.wait_connected()
        visits = witness.values[-1]
        assert post(stack.url, "visits", {"add": 5}).status_code == 202
        until(lambda: witness.values[-1] == visits + 5, "the release of visits")
        # Behind that one on every channel that they might be on.
        counter = snapshot(stack.url, "counter")["value"]
        assert post(stack.url, "counter", {"add": 1}).status_code == 202
        for viewer in viewers:
            until(lambda v=viewer: v.values[-1] == counter + 1, "the release of the counter")
            names = {data["name"] for _, event, data in viewer.events if event == "message"}
            assert names == {"counter"}
    finally:
        for viewer in (*viewers, witness):
            viewer.close()


@pytest.fixture
def origin_away(stack):
    """The edge knows that no origin answers; afterwards it knows that one does."""
    stack.stop_part("origin-1")
    until(
        lambda: httpx.get(f"{stack.varnish_urls[0]}/values/nobody").status_code == 503,
        "the origin is away",
    )
    yield
    stack.start_part("origin-1")
    until(
        lambda: httpx.get(f"{stack.url}/values/nobody-has-it").status_code == 404,
        "the edge trusts the origin",
    )


FOREIGN = (
    "/values/x,value:counter?as=sse&after=1",
    "/values/x,updates,stale?as=sse&after=1",
    "/values/x;prev-id=9,value:counter?as=sse&after=1",
)


@pytest.mark.parametrize("path", FOREIGN)
def test_a_name_that_is_none_is_not_held_while_the_origin_is_away(stack, origin_away, path):
    for base in (stack.url, stack.pushpin_url):
        received = exchange(
            base, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        )
        assert received.split(None, 2)[1] in (b"400", b"404", b"502", b"503")
        assert b"\ndata:" not in received


@pytest.mark.parametrize("path", FOREIGN)
def test_the_edge_names_one_channel_while_the_origin_is_away(stack, origin_away, path):
    # As Pushpin asks.
    signed = {"Grip-Sig": _token(stack.grip_key, exp=_soon())}
    answer = httpx.get(stack.varnish_urls[0] + path, headers=signed)
    channels = re.split(r"\s*,\s*", answer.headers.get("Grip-Channel", ""))
    assert not {"value:counter", "updates"} & {channel.split(";")[0] for channel in channels}
