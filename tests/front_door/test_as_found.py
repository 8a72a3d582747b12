"""A front door of somebody else's in front of ours, set up as it came: events get through at once.

With their defaults such proxies delivered none of ten (vaadin/flow#25751, nginx/nginx#1505).
"""

from __future__ import annotations

import time

import httpx
import pytest

from tests.front_door.doors import door_as_found
from tests.front_door.happenings import SUM, begin, event, release

EVENTS = 3
PATIENCE_S = 20


@pytest.fixture(scope="module")
def door(stack):
    begin(stack)
    with door_as_found(stack.url) as door:
        yield door


@pytest.fixture
def client(door):
    limits = httpx.Timeout(30, read=PATIENCE_S)
    with httpx.Client(verify=door.context, http2=True, base_url=door.url, timeout=limits) as client:
        yield client


@pytest.mark.parametrize("path", [f"/values/{SUM}?as=sse", "/stream", "/events/test/"])
def test_each_event_comes_at_once(stack, client, path):
    """Nothing else follows that would push it out."""
    with client.stream("GET", path) as answer:
        assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
        # Else this would not be a proxy that compresses.
        assert answer.headers["Content-Encoding"] == "gzip"
        pieces, seen = answer.iter_text(), ""
        for _ in range(EVENTS):
            if path == "/events/test/":
                shown = event(stack, "test")
            else:
                shown = release(stack, "counter" if path == "/stream" else SUM)
            deadline = time.monotonic() + PATIENCE_S
            while not shown(seen):
                assert time.monotonic() < deadline, f"it did not come; only {seen!r}"
                seen += next(pieces)
