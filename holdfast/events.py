"""One Kafka record as one server-sent event: what it is called, and what of it is shown."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from holdfast.formats import sse_event
from holdfast.topics import TopicRules

MAX_VALUE_BYTES = 900_000
# A value of line ends grows sevenfold; base64 makes 1.2 MB of 900 kB.
MAX_EVENT_BYTES = 1_300_000
LONGEST_KEY = 255  # bytes; records with a longer one are not served by key

HEADER = "event"
_NAME = re.compile(rb"[^\x00-\x1f\x7f]{1,64}")
# What Holdfast itself says: a record must not be able to say it.
_RESERVED = frozenset({"message", "binary", "tombstone", "oversized", "withheld", "reset"})

_TOMBSTONE = sse_event(b"{}", event="tombstone")


def encode(
    rules: TopicRules,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, Any]] | None,
) -> bytes:
    """The event without its id. Any record makes exactly one, and none raises."""
    place = {"partition": partition, "offset": offset}
    if value is None:
        # Where only some members may be shown, the key may not.
        return _TOMBSTONE if rules.fields is not None else _tombstone(key)
    if len(value) > MAX_VALUE_BYTES:
        return _told("oversized", {**place, "bytes": len(value)})
    if rules.fields is not None:
        shown = _chosen(value, rules.fields)
        if shown is None:
            return _told("withheld", place)
        value = shown
    try:
        value.decode()
    except UnicodeDecodeError:
        return sse_event(base64.b64encode(value), event="binary")
    event = sse_event(value, event=_name(headers) if headers else "message")
    if len(event) > MAX_EVENT_BYTES:
        return _told("oversized", {**place, "bytes": len(value)})
    return event


def _told(event: str, what: dict[str, Any]) -> bytes:
    return sse_event(msgspec.json.encode(what), event=event)


def _tombstone(key: bytes | None) -> bytes:
    if key is None:
        return _TOMBSTONE
    try:
        return _told("tombstone", {"key": key.decode()})
    except UnicodeDecodeError:
        return _told("tombstone", {"key_base64": base64.b64encode(key).decode()})


def _chosen(value: bytes, fields: tuple[str, ...]) -> bytes | None:
    """The members that may be shown, as the record has them; None when it is no JSON object."""
    try:
        members = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return msgspec.json.encode({name: members[name] for name in fields if name in members})


def _name(headers: Iterable[tuple[str, Any]]) -> str:
    """What the record's header `event` calls it; `message` when that can't be said, or must not."""
    for name, value in headers:
        if name == HEADER and isinstance(value, bytes) and _NAME.fullmatch(value):
            try:
                event = value.decode()
            except UnicodeDecodeError:
                break
            return "message" if event in _RESERVED else event
    return "message"
