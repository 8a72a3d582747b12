"""The relay's state in Redis: how far each topic was relayed, and its newest events.

Methods raise UnavailableError when Redis can't be asked; asking again is always safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec
import redis

from holdfast.positions import Position, format_offsets, parse_offsets
from holdfast.state import available

# Kept per topic: between once and twice this.
KEEP_BYTES = 16 * 1024 * 1024
KEEP_KEYS = 500_000


class Event(NamedTuple):
    """One record as an event. key: base64 (formats.encode_key), None = not served by key.

    text: the event without its id line.
    """

    offset: int
    key: str | None
    text: bytes


class Chunk(NamedTuple):
    """Consecutive events of one partition. position: the next offset before them."""

    partition: int
    position: int
    events: tuple[Event, ...]

    @property
    def next(self) -> int:
        return self.events[-1].offset + 1


@dataclass(frozen=True, slots=True)
class Place:
    """How far a topic is relayed. topic_id: Kafka's id of the log that the offsets belong to.

    look: of the events that Redis has (TopicRules.look); None where nobody asked.
    """

    topic_id: str
    position: Position
    look: str | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """A chunk in the stream. first: the sequence of its first event. before: the position before.

    key_ids: the GRIP id before this chunk, for each key in it.
    """

    first: int
    before: Position
    key_ids: dict[str, str]


@dataclass(frozen=True, slots=True)
class Known:
    """Nothing was appended: Redis has the partition up to `offset`, or not at all (None)."""

    offset: int | None


class Entry(NamedTuple):
    """A chunk as it is read back. before: the topic's offsets before it."""

    first: int
    partition: int
    before: tuple[int, ...]
    next: int
    events: bytes

    def unpack(self) -> list[Event]:
        return _DECODER.decode(self.events)


@dataclass(frozen=True, slots=True)
class View:
    """A topic at one moment, for the origin.

    since: ids with a smaller sequence belong to a former log. key_id: where the chain of the asked
    key stands. entries: the stream from where it was asked for.
    """

    place: Place
    since: int
    key_id: str
    entries: tuple[Entry, ...]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Event])


class RelayState:
    """Every read and write of Redis that the relay and `/events/` do."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        folder = files("holdfast") / "lua"
        self._append, self._place, self._view, self._members = (
            client.register_script((folder / f"{name}.lua").read_text(encoding="utf-8"))
            for name in ("relay_append", "relay_place", "relay_view", "relay_members")
        )

    def place(self, topic: str) -> Place | None:
        """How far the topic is relayed; None when Redis knows nothing of it."""
        with available():
            reply: Any = self._redis.hmget(f"relay:{topic}", "topic_id", "seq", "offsets", "look")
        return None if reply[0] is None else _place(*reply)

    def members(self, name: str, lease_ms: int, *, now_ms: int | None = None) -> list[str]:
        """Say that the relay `name` is alive for `lease_ms`, 0 = no more; all that are, sorted."""
        with available():
            reply: Any = self._members(
                keys=["relay_members"], args=[name, lease_ms, "" if now_ms is None else now_ms]
            )
        return [each.decode() for each in reply]

    def put(
        self,
        topic: str,
        topic_id: str,
        offsets: Sequence[int],
        *,
        look: str = "",
        used: int = 0,
        other_log: bool = False,
        now_us: int | None = None,
    ) -> Place:
        """Begin at `offsets`, or move on to them; what holds afterwards.

        look: of the events that will be appended; events of another look are forgotten.
        used: a sequence that viewers may have seen. other_log: forget what Redis knows, although
        the topic's id is the same.
        """
        with available():
            reply: Any = self._place(
                keys=_keys(topic),
                args=[
                    topic_id,
                    format_offsets(offsets),
                    used,
                    "1" if other_log else "0",
                    look,
                    "" if now_us is None else now_us,
                ],
            )
        found_id, sequence, found = reply
        return _place(found_id, sequence, found, look.encode())

    def append(
        self,
        topic: str,
        topic_id: str,
        chunks: Sequence[Chunk],
        *,
        look: str = "",
        used: int = 0,
        keep_events: int = 10_000,
        keep_bytes: int = KEEP_BYTES,
        keep_keys: int = KEEP_KEYS,
        now_us: int | None = None,
    ) -> list[Appended | Known]:
        """Append chunks of a topic in one round trip; what became of each.

        used: a sequence that viewers have seen, for a Redis that has forgotten it.
        """
        pipe = self._redis.pipeline(transaction=False)
        for chunk in chunks:
            self._append(
                keys=_keys(topic),
                args=[
                    topic_id,
                    chunk.partition,
                    chunk.position,
                    chunk.next,
                    len(chunk.events),
                    _ENCODER.encode(chunk.events),
                    used,
                    keep_events,
                    keep_bytes,
                    keep_keys,
                    "" if now_us is None else now_us,
                    look,
                    *_key_arguments(chunk),
                ],
                client=pipe,
            )
        with available():
            replies: list[Any] = pipe.execute()
        return [_appended(chunk, reply) for chunk, reply in zip(chunks, replies, strict=True)]

    def newest_keys(self, topic: str, events: int) -> set[str]:
        """The keys of the topic's newest `events` events, and of some more."""
        keys: set[str] = set()
        newest, seen = "+", 0
        while seen < events:
            with available():
                found: Any = self._redis.xrevrange(f"events:{topic}", newest, "-", count=8)
            if not found:
                break
            for id_, fields in found:
                newest = f"({id_.decode()}"
                unpacked = _DECODER.decode(fields[b"events"])
                seen += len(unpacked)
                keys.update(event.key for event in unpacked if event.key is not None)
        return keys

    def key_ids(self, topic: str, keys: Sequence[str]) -> list[str | None]:
        """Where the chains of these keys stand."""
        if not keys:
            return []
        with available():
            reply: Any = self._redis.hmget(f"relay_keys:{topic}", list(keys))
        return [None if each is None else each.decode() for each in reply]

    def view(
        self,
        topic: str,
        sequence: int | None,
        most_bytes: int,
        key: str | None = None,
        seen: Sequence[int] = (),
    ) -> View | None:
        """The topic now, and its entries from the one on that holds `sequence`, until they make up
        `most_bytes` together. Entries of which `seen`, offsets, says all are left out.

        None: Redis knows nothing of it. sequence None: no entries; 0: from the oldest on.
        """
        with available():
            reply: Any = self._view(
                keys=_keys(topic),
                args=[
                    "" if sequence is None else sequence,
                    most_bytes,
                    key or "",
                    format_offsets(seen),
                ],
            )
        if reply is None:
            return None
        topic_id, seq, offsets, since, key_id, entries = reply
        return View(
            _place(topic_id, seq, offsets),
            int(since),
            key_id.decode(),
            tuple(_entry(id_, fields) for id_, fields in entries),
        )


def _keys(topic: str) -> list[str]:
    return [f"relay:{topic}", f"events:{topic}", f"relay_keys:{topic}"]


def _key_arguments(chunk: Chunk) -> list[str | int]:
    """Each key, the number of its last event, the offset after that."""
    last = {
        event.key: (number, event.offset + 1)
        for number, event in enumerate(chunk.events)
        if event.key is not None
    }
    return [part for key, (number, offset) in last.items() for part in (key, number, offset)]


def _place(topic_id: bytes, sequence: bytes, offsets: bytes, look: bytes | None = None) -> Place:
    position = Position(int(sequence), parse_offsets(offsets.decode()))
    return Place(topic_id.decode(), position, None if look is None else look.decode())


def _appended(chunk: Chunk, reply: Any) -> Appended | Known:
    word = reply[0].decode()
    if word != "APPENDED":
        return Known(int(reply[1]) if len(reply) > 1 else None)
    keys = dict.fromkeys(event.key for event in chunk.events if event.key is not None)
    before = Position(int(reply[2]), parse_offsets(reply[3].decode()))
    ids = [each.decode() for each in reply[4:]]
    # The order of _key_arguments is that in which the keys first came, too: a dict keeps it.
    return Appended(int(reply[1]), before, dict(zip(keys, ids, strict=True)))


def _entry(id_: bytes, flat: Sequence[bytes]) -> Entry:
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    return Entry(
        int(id_.split(b"-")[0]),
        int(fields[b"partition"]),
        parse_offsets(fields[b"offsets"].decode()),
        int(fields[b"next"]),
        fields[b"events"],
    )
