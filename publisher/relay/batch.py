"""Records to chunks, and chunks that were appended to the items that Pushpin gets."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from holdfast.events import LONGEST_KEY, encode
from holdfast.formats import SSE_COMMENT, encode_key, events_channel, relay_item, with_id
from holdfast.positions import Position
from holdfast.relay_state import Appended, Chunk, Event
from holdfast.topics import TopicRules
from publisher.push import FANOUT_BODY_BYTES, MAX_BODY_BYTES, bodies

CHUNK_EVENTS = 1_000
# Control characters grow sixfold in JSON, base64 grows by a third.
PLAIN_MOST_BYTES = 1_000_000


class Limits(NamedTuple):
    """chunk_bytes: of the events in one item, more only when a single one is larger. body_bytes:
    of a request."""

    chunk_bytes: int
    body_bytes: int


PUSHPIN = Limits(100_000, MAX_BODY_BYTES)
FANOUT = Limits(40_000, FANOUT_BODY_BYTES)  # room for escapes in JSON


class Record(NamedTuple):
    """A Kafka record as far as the relay knows it."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What a node is sent at once: request bodies, and the channels of one topic they are for."""

    topic: str
    keys: frozenset[str]
    bodies: tuple[bytes, ...]


def chunks(
    rules: TopicRules,
    partition: int,
    position: int,
    records: Sequence[Record],
    limits: Limits = PUSHPIN,
) -> Iterator[Chunk]:
    """Records of one partition as chunks, each small enough for one item."""
    events: list[Event] = []
    size = 0
    for offset, key, value, headers in records:
        text = encode(rules, partition, offset, key, value, headers)
        if events and (len(events) >= CHUNK_EVENTS or size + len(text) > limits.chunk_bytes):
            yield Chunk(partition, position, tuple(events))
            position, events, size = events[-1].offset + 1, [], 0
        events.append(Event(offset, _key(rules, key), text))
        size += len(text)
    if events:
        yield Chunk(partition, position, tuple(events))


def batch(
    topic: str, appended: Sequence[tuple[Chunk, Appended]], limits: Limits = PUSHPIN
) -> Batch:
    """The items of chunks: one for the topic's channel, and one for each key's."""
    items = [item for chunk, result in appended for item in _items(topic, chunk, result)]
    keys = frozenset(key for _, result in appended for key in result.key_ids)
    return Batch(topic, keys, tuple(bodies(items, limits.body_bytes)))


def confirm(
    topic: str, channels: Sequence[tuple[str | None, str]], limits: Limits = PUSHPIN
) -> Batch:
    """Heartbeats at these (key or None, GRIP id): Pushpin makes anyone behind recover."""
    items = [relay_item(events_channel(topic, key), SSE_COMMENT, id_, id_) for key, id_ in channels]
    keys = frozenset(key for key, _ in channels if key is not None)
    return Batch(topic, keys, tuple(bodies(items, limits.body_bytes)))


def after(chunk: Chunk, appended: Appended) -> Position:
    """The topic's position after the chunk."""
    last = appended.first + len(chunk.events) - 1
    return appended.before.moved(chunk.partition, chunk.next, last)


def _items(topic: str, chunk: Chunk, appended: Appended) -> Iterator[dict[str, Any]]:
    ahead, behind = appended.before.frame(chunk.partition)
    first = appended.first
    texts = [
        with_id(f"{first + number}/{ahead}{event.offset + 1}{behind}", event.text)
        for number, event in enumerate(chunk.events)
    ]
    position = after(chunk, appended)
    yield _item(topic, None, b"".join(texts), position.grip_id, appended.before.grip_id)
    by_key: dict[str, list[int]] = {}
    if appended.key_ids:
        for number, event in enumerate(chunk.events):
            if event.key is not None:
                by_key.setdefault(event.key, []).append(number)
    for key, numbers in by_key.items():
        body = b"".join(texts[number] for number in numbers)
        last = numbers[-1]
        offset = chunk.events[last].offset + 1
        id_ = appended.before.moved(chunk.partition, offset, first + last).grip_id
        yield _item(topic, key, body, id_, appended.key_ids[key])


def _item(topic: str, key: str | None, body: bytes, id_: str, prev_id: str) -> dict[str, Any]:
    item = relay_item(events_channel(topic, key), body, id_, prev_id)
    if len(body) > PUSHPIN.chunk_bytes * 2 and len(msgspec.json.encode(item)) > PLAIN_MOST_BYTES:
        content = base64.b64encode(body).decode()
        item["formats"] = {"http-stream": {"content-bin": content}}
    return item


def _key(rules: TopicRules, key: bytes | None) -> str | None:
    if not rules.by_key or not key or len(key) > LONGEST_KEY:
        return None
    return encode_key(key)
