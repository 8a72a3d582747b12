"""The console's own stream: how an overview travels to whoever watches, through Pushpin.

Each event is the whole picture, so nothing is owed to who misses one, and there is no chain of ids.
Now and then a hint makes Pushpin ask the origin again for each stream, whether it may go on.
"""

from __future__ import annotations

from typing import Any

from holdfast.formats import sse_event

CHANNEL = "console"


def event(overview: bytes) -> bytes:
    """An overview, JSON, as a server-sent event."""
    return sse_event(overview)


def item(overview: bytes) -> dict[str, Any]:
    return {"channel": CHANNEL, "formats": {"http-stream": {"content": event(overview).decode()}}}


def renewal() -> dict[str, Any]:
    return {"channel": CHANNEL, "formats": {"http-stream": {"action": "hint"}}}
