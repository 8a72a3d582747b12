"""What Pushpin tells Prometheus of itself."""

from __future__ import annotations

import re
from contextlib import ExitStack

import httpx

from tests.e2e.viewers import Viewer, until


def _connected(stack, part: str) -> int:
    (ports,) = [status.ports for status in stack.status() if status.name == part]
    text = httpx.get(f"http://127.0.0.1:{ports['metrics']}/metrics", trust_env=False).text
    found = re.search(r"^connection_connected (\d+)$", text, re.MULTILINE)
    assert found, text
    return int(found[1])


def test_pushpin_counts_who_is_connected(stack):
    assert _connected(stack, "websocket-1") >= 0
    with ExitStack() as viewers:
        for _ in range(3):
            viewer = viewers.enter_context(Viewer(stack.url, "/values/counter?as=sse"))
            viewer.wait_connected()
        until(lambda: _connected(stack, "pushpin-1") >= 3, "three connections", 30)
    until(lambda: _connected(stack, "pushpin-1") < 3, "their end", 30)
