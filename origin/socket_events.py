"""WebSocket-over-HTTP (the GRIP protocol): the events of a socket in a POST, and in its answer.

gripcontrol encodes and decodes them. Its decoder takes what is cut short for whole, so what it made
must come to the same bytes again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from gripcontrol import WebSocketEvent, decode_websocket_events, encode_websocket_events

MIMETYPE = "application/websocket-events"
# What Pushpin collects while it waits for an answer: 200,000 bytes of content and one message more,
# and what stands around each.
MAX_EVENTS_BYTES = 1_000_000
# Of messages in one: Pushpin cuts what is longer than 16,384 bytes into several frames.
MAX_PACKED_BYTES = 12_000


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


def pack(texts: Sequence[bytes]) -> Iterator[bytes]:
    """JSON objects as few messages: arrays, where there are several.

    Pushpin 1.36 stops sending what is left of an answer when a message ends exactly where condure's
    credits do (client_buffer_size), until something else is sent; with many short ones that is no
    rare chance. And condure ends a connection for which 100 messages wait.
    """
    batch: list[bytes] = []
    size = 0
    for text in texts:
        if batch and size + len(text) > MAX_PACKED_BYTES:
            yield _array(batch)
            batch, size = [], 0
        batch.append(text)
        size += len(text) + 1
    if batch:
        yield _array(batch)


def _array(batch: Sequence[bytes]) -> bytes:
    return batch[0] if len(batch) == 1 else b"[%b]" % b",".join(batch)


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
