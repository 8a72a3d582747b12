"""How a release looks on each transport, and how Pushpin is told of it.

Event streams: WHATWG HTML, 9.2 Server-sent events. Items and channels: the GRIP protocol.
One encoder for all: nothing else in Holdfast writes an SSE field.
"""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec

from holdfast import ndjson, polls
from holdfast.snapshots import Snapshot

TEXT_CHANNEL = "updates"
STALE_CHANNEL = "stale"
PROBE_CHANNEL = "probe"
EVERYTHING = "all"
HEARTBEAT_SECONDS = 20

SSE_COMMENT = b":\n\n"
TEXT_COMMENT = b"\n"

_SSE_CONFIRM = {
    "http-stream": {"content": SSE_COMMENT.decode()},
    "http-response": polls.CONFIRM,
}
_LINE_CONFIRM = {"http-stream": {"content": ndjson.COMMENT.decode()}}  # the same on /stream

# A line of an event stream ends at CR, LF or CRLF; nothing else ends one.
_LINE_END = re.compile(rb"\r\n|\r|\n")


def value_channel(name: str) -> str:
    """The channel of a value's SSE, long-poll and WebSocket viewers."""
    return f"value:{name}"


def ndjson_channel(name: str) -> str:
    """The channel of a value's NDJSON viewers: an item has one content for streams."""
    return f"value:{name}:ndjson"


def private_channel(channel: str) -> str:
    """The channel of a private value instead of `channel`.

    While the origin is away the edge holds who comes back on value:{name}, whatever the name
    (fastly/holds.vcl). So nothing private is ever sent there.
    """
    return "private:" + channel.removeprefix("value:")


def encode_key(key: bytes) -> str:
    """A record's key where only letters, digits, - and _ may stand: base64 without padding."""
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()


def events_channel(topic: str, key: str | None = None) -> str:
    """The channel of a topic's viewers, or of those of one key (encode_key)."""
    return f"events:{topic}" if key is None else f"events:{topic}:{key}"


def surrogate_key(name: str) -> str:
    """The key that a purge of the value names."""
    return f"value:{name}"


def edge_keys(key: str) -> str:
    """The Surrogate-Key of an answer: its own key, and the one that purges everything softly.

    Fastly's purge_all can't be soft; its documents propose a key that all have.
    """
    return f"{key} {EVERYTHING}"


def sse_event(data: bytes, *, id: str | None = None, event: str | None = None) -> bytes:
    """One server-sent event. Line ends in `data` make more data lines, never another field.

    Raises ValueError when `id` or `event` holds CR, LF or NUL: those fields can't carry them.
    """
    lines = [
        _field(name, text) for name, text in (("event", event), ("id", id)) if text is not None
    ]
    if b"\n" in data or b"\r" in data:
        lines.extend(b"data: " + line for line in _LINE_END.split(data))
    else:
        lines.append(b"data: " + data)
    return b"\n".join(lines) + b"\n\n"


def _field(name: str, text: str) -> bytes:
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError(f"CR, LF or NUL in the SSE field {name}")
    return f"{name}: {text}".encode()


def sse_position(id: str) -> bytes:
    """Says where the client stands, and dispatches no event: a block that has no data."""
    return b"id: %b\n\n" % id.encode()


def with_id(id: str, event: bytes) -> bytes:
    """An event that was encoded without an id, with one. The order of fields means nothing."""
    return b"id: %b\n%b" % (id.encode(), event)


def sse_release(snapshot: Snapshot) -> bytes:
    """A release as a server-sent event: its version is the id, its snapshot the data."""
    return sse_event(snapshot.encode(), id=str(snapshot.version))


def sse_reset(reason: str, id: str | None = None) -> bytes:
    """Tells a client that what it has seen doesn't lead to what comes next."""
    return sse_event(msgspec.json.encode({"reason": reason}), id=id, event="reset")


def text_release(snapshot: Snapshot) -> bytes:
    """A release as a line of /stream. The space after the colon is the seed's own format."""
    return b'{"data": ' + snapshot.json + b"}\n"


def socket_release(snapshot: Snapshot) -> bytes:
    """A release as a WebSocket's message (docs/websocket.md)."""
    return b'{"type":"value",' + snapshot.encode()[1:]


def socket_confirm(snapshot: Snapshot) -> bytes:
    """The newest release once more, for whom it did not reach."""
    return b'{"type":"value","confirm":true,' + snapshot.encode()[1:]


def release_items(snapshot: Snapshot, *, text: bool) -> list[dict[str, Any]]:
    """The items that carry a release; `text`: the value is the one that /stream serves."""
    bodies = [
        (value_channel(snapshot.name), sse_release(snapshot)),
        (ndjson_channel(snapshot.name), ndjson.release(snapshot)),
    ]
    if text:
        bodies.append((TEXT_CHANNEL, text_release(snapshot)))
    items = [_item(channel, body, snapshot.version, snapshot.prev) for channel, body in bodies]
    items[0]["formats"]["http-response"] = polls.release(snapshot)
    items[0]["formats"]["ws-message"] = {"content": socket_release(snapshot).decode()}
    return items


def confirm_items(
    name: str, version: int, message: bytes | None, *, text: bool
) -> list[dict[str, Any]]:
    """Heartbeats whose id and prev-id are both `version`.

    Who is at that version sees a comment, and a long-poll waits on; Pushpin makes anyone behind
    recover. For WebSockets it can't: they get that version again, a socket_confirm, if `message`
    is known.
    """
    # Literals and shared contents: 10,000 idle values are confirmed in one turn.
    id = str(version)
    formats: dict[str, Any] = _SSE_CONFIRM
    if message is not None:
        formats = {**_SSE_CONFIRM, "ws-message": {"content": message.decode()}}
    items: list[dict[str, Any]] = [
        {
            "channel": value_channel(name),
            "id": id,
            "prev-id": id,
            "meta": polls.CONFIRM_META,
            "formats": formats,
        },
        {
            "channel": ndjson_channel(name),
            "id": id,
            "prev-id": id,
            "formats": _LINE_CONFIRM,
        },
    ]
    if text:
        items.append({"channel": TEXT_CHANNEL, "id": id, "prev-id": id, "formats": _LINE_CONFIRM})
    return items


def stale_hint() -> dict[str, Any]:
    """Asks Pushpin to recover every viewer that was served while the origin was down."""
    hint = {"action": "hint"}
    return {"channel": STALE_CHANNEL, "formats": {"http-stream": hint, "http-response": hint}}


def probe() -> dict[str, Any]:
    """For a channel that nobody has: whoever takes it is back."""
    return {"channel": PROBE_CHANNEL, "formats": {"http-stream": {"content": ""}}}


def relay_item(channel: str, body: bytes, id: str, prev_id: str) -> dict[str, Any]:
    """Events back to back, as one item; with a comment and equal ids: a confirm."""
    return _item(channel, body, id, prev_id)


def _item(channel: str, body: bytes, version: int | str, prev: int | str) -> dict[str, Any]:
    """One item, as GRIP has it. By hand: pubcontrol's Item takes longer than all the rest."""
    return {
        "channel": channel,
        "id": str(version),
        "prev-id": str(prev),
        "formats": {"http-stream": {"content": body.decode()}},
    }
