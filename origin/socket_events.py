"""WebSocket-over-HTTP (the GRIP protocol): the events of a socket in a POST, and in its answer.

gripcontrol encodes and decodes them. Its decoder takes what is cut short for whole, so what it made
must come to the same bytes again.
"""

from __future__ import annotations

import msgspec
from gripcontrol import WebSocketEvent, decode_websocket_events, encode_websocket_events

MIMETYPE = "application/websocket-events"
# What Pushpin collects while it waits for an answer: 200,000 bytes of content and one message more,
# and what stands around each.
MAX_EVENTS_BYTES = 1_000_000


class EventsError(ValueError):
    """The body is not a whole number of events."""


def decode_events(body: bytes) -> list[WebSocketEvent]:
    """The events of a request, in order. Raises EventsError."""
    try:
        events: list[WebSocketEvent] = decode_websocket_events(body)
    except ValueError as error:  # a type that is no UTF-8 as well
        raise EventsError(f"the events can't be read: {error}") from None
    if encode_events(events) != body:
        raise EventsError("the events are cut short")
    return events


def encode_events(events: list[WebSocketEvent]) -> bytes:
    encoded: bytes = encode_websocket_events(events)
    return encoded


def message(text: bytes) -> WebSocketEvent:
    """A text message to the client: `m:` says to Pushpin that it is one."""
    return WebSocketEvent("TEXT", b"m:" + text)


def subscribe(channel: str) -> WebSocketEvent:
    return _control({"type": "subscribe", "channel": channel})


def unsubscribe(channel: str) -> WebSocketEvent:
    return _control({"type": "unsubscribe", "channel": channel})


def keep_alive(text: bytes, seconds: int) -> WebSocketEvent:
    """Pushpin sends `text` whenever nothing else was sent for `seconds`."""
    return _control(
        {"type": "keep-alive", "content": text.decode(), "timeout": seconds, "mode": "idle"}
    )


def _control(document: dict[str, object]) -> WebSocketEvent:
    """What Pushpin itself is told. In one frame, so less than 16,384 bytes."""
    return WebSocketEvent("TEXT", b"c:" + msgspec.json.encode(document))
