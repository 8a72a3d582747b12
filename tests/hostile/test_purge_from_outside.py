"""Purging is for the publisher and for operators at the edge: nobody purges from outside."""

from __future__ import annotations

import httpx
import pytest

from tests.hostile.raw import conversation

PURGES = [
    ("PURGE", "/values/counter"),
    ("PURGE", "/"),
    ("POST", "/service/holdfast/purge/value:counter"),
    ("POST", "/service/holdfast/purge"),
    ("POST", "/service/holdfast/purge_all"),
    ("POST", "/purge/127.0.0.1/values/counter"),
]
# The same in clothes: for a door that looks at the path before it is put straight, or after.
DISGUISES = [
    ("POST", "//service/holdfast/purge_all"),
    ("POST", "/./service/holdfast/purge_all"),
    ("POST", "/x/../service/holdfast/purge_all"),
    ("POST", "/service/../service/holdfast/purge_all"),
    ("POST", "/service/holdfast/purge/value:counter/../../../../values/counter"),
    ("POST", "/service/holdfast/purge/value:counter/..%2f..%2f..%2f..%2fvalues/counter"),
    ("POST", "/purge/a/values/counter/../../../.."),
    ("POST", "/%73ervice/holdfast/purge_all"),
    ("POST", "/SERVICE/holdfast/purge_all"),
    ("POST", "/service%2fholdfast%2fpurge_all"),
    ("POST", "/values/counter?/service/holdfast/purge_all"),
    ("POST", "http://a/service/holdfast/purge_all"),
    ("GET", "/service/holdfast/purge_all"),
    ("FASTLYPURGE", "/values/counter"),
    ("BAN", "/values/counter"),
    ("DELETE", "/values/counter"),
    ("purge", "/values/counter"),
    ("OPTIONS", "/service/holdfast/purge_all"),
]
KEYS = {
    "no key": lambda _: "",
    "wrong key": lambda key: "Fastly-Key: " + "0" * len(key) + "\r\n",
    "empty key": lambda _: "Fastly-Key: \r\n",
    "beginning of the key": lambda key: f"Fastly-Key: {key[:-1]}\r\n",
    "longer key": lambda key: f"Fastly-Key: {key}0\r\n",
    "key in upper case": lambda key: f"Fastly-Key: {key.upper()}\r\n",
    "key in the query": lambda _: "X-Purge-Allowed: yes\r\nX-Purge-Keys: *\r\n",
    "key elsewhere": lambda key: f"Authorization: Bearer {key}\r\nFastly_Key: {key}\r\n",
}
# Behind nginx not even the right one is worth anything.
RIGHT_KEYS = {
    "right key": lambda key: f"Fastly-Key: {key}\r\n",
    "right key twice": lambda key: f"Fastly-Key: {key}\r\nfastly-key: {key}\r\n",
    "right key, folded name": lambda key: f"FASTLY-KEY:{key}\r\nConnection: Fastly-Key\r\n",
}


def _ask(base: str, method: str, target: str, headers: str) -> int:
    (answer,) = conversation(
        base,
        f"{method} {target} HTTP/1.1\r\nHost: a\r\nSurrogate-Key: value:counter page\r\n"
        f"Content-Length: 0\r\n{headers}Connection: close\r\n\r\n".encode(),
    )
    return answer.status


_CLIENT = httpx.Client(timeout=15, trust_env=False)


def _ages(stack) -> list[str]:
    """Whether the edge still has what it had: a purge makes a miss of it."""
    return [_CLIENT.get(stack.url + path).headers["X-Cache"] for path in ("/values/counter", "/")]


@pytest.fixture
def cached(stack):
    _ages(stack)
    assert _ages(stack) == ["HIT", "HIT"]


@pytest.mark.parametrize("key", [*KEYS, *RIGHT_KEYS])
def test_nobody_purges_through_nginx(stack, cached, key):
    headers = {**KEYS, **RIGHT_KEYS}[key](stack.fastly_key)
    for method, target in (*PURGES, *DISGUISES):
        status = _ask(stack.url, method, target, headers)
        assert status in (400, 401, 404, 405, 415), (method, target)
        assert _ages(stack) == ["HIT", "HIT"], (method, target)


@pytest.mark.parametrize("way", ["varnish", "pushpin"])
@pytest.mark.parametrize("key", KEYS)
def test_nobody_purges_at_the_edge_without_the_key(stack, cached, way, key):
    base = stack.varnish_urls[0] if way == "varnish" else stack.pushpin_url
    headers = KEYS[key](stack.fastly_key)
    for method, target in PURGES:
        assert _ask(base, method, target, headers) == 401, (method, target)
    assert _ages(stack) == ["HIT", "HIT"]


@pytest.mark.parametrize("target", ["/service/other/purge_all", "/service//purge_all"])
def test_the_key_of_one_service_purges_no_other(stack, cached, target):
    headers = RIGHT_KEYS["right key"](stack.fastly_key)
    assert _ask(stack.varnish_urls[0], "POST", target, headers) == 401
    assert _ages(stack) == ["HIT", "HIT"]


@pytest.mark.parametrize(("method", "target"), PURGES)
def test_the_right_key_at_the_edge_does_purge(stack, cached, method, target):
    """Or the tests above would show nothing."""
    headers = RIGHT_KEYS["right key"](stack.fastly_key)
    assert _ask(stack.varnish_urls[0], method, target, headers) == 200
    assert "MISS" in _ages(stack)
