"""What a viewer of a topic gets next: events from Redis, or from Kafka, or to be held.

Every answer is decided by offsets alone, at one moment of the topic, so that nothing is left out
between the last event in it and the first one that Pushpin sends.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from holdfast.events import encode
from holdfast.formats import encode_key, sse_position, sse_reset, with_id
from holdfast.positions import Position
from holdfast.relay_state import Entry, RelayState, View
from holdfast.topics import TopicRules
from origin.replay import Done, GoneError, Replay

# Pages of this size and one event, ids included, linked: an answer must not grow with what a viewer
# has missed.
PAGE_BYTES = 250_000
KAFKA_PAGE_BYTES = 1_000_000  # each read of Kafka has its price, whatever it brings


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a stream. hold: the GRIP id of the chain to be held on, None = more follows.

    position: where the viewer stands after it.
    """

    body: bytes
    position: Position
    hold: str | None


class CatchUp:
    """Reads one topic for viewers; key: as encode_key has it, None = all events."""

    def __init__(self, state: RelayState, replay: Replay) -> None:
        self._state = state
        self._replay = replay

    def live(self, topic: str, key: str | None) -> Page | None:
        """From now on. None while the topic is not relayed."""
        view = self._state.view(topic, None, 0, key)
        return None if view is None else _caught_up(view, key)

    def unreadable(self, topic: str, key: str | None) -> Page | None:
        """For an id that is none: told so, then from now on. None while it is not relayed."""
        view = self._state.view(topic, None, 0, key)
        return None if view is None else _reset(view, key, "unreadable id")

    def begin(
        self, topic: str, rules: TopicRules, key: str | None, at_ms: int | None
    ) -> Page | None:
        """From the time `at_ms` on, None = from the log's start. None while it is not relayed."""
        view = self._state.view(topic, None, 0, key)
        if view is None:
            return None
        now = view.place.position.offsets
        if at_ms is None:
            found: list[int | None] = [log.low for log in self._replay.ends(topic, len(now))]
        else:
            found = self._replay.offsets_at(topic, len(now), at_ms)
        offsets = tuple(
            known if offset is None else min(offset, known)
            for offset, known in zip(found, now, strict=True)
        )
        return self.after(topic, rules, Position(view.since, offsets), key)

    def after(self, topic: str, rules: TopicRules, at: Position, key: str | None) -> Page | None:
        """What comes after `at`. None while the topic is not relayed."""
        view = self._state.view(topic, at.sequence, PAGE_BYTES, key, at.offsets)
        if view is None:
            return None
        page = self._settled(topic, rules, view, at, key)
        if page is None and not _leads_on(view, at):
            # The sequence may be one that a former Redis gave: look at all that there is. The topic
            # may have moved meanwhile, so this view alone counts from here on.
            view = self._state.view(topic, 0, PAGE_BYTES, key, at.offsets)
            if view is None:
                return None
            page = self._settled(topic, rules, view, at, key)
        if page is not None:
            return page
        now = view.place.position
        parts, position = _from_entries(view.entries, at, key)
        if position == at:
            try:
                parts, position = self._from_kafka(topic, rules, at, now, key)
            except GoneError:
                return _reset(view, key, "records since then are gone")
        if position.reaches(now.offsets):
            return Page(b"".join([*parts, sse_position(now.id)]), now, _chain(view, key))
        return Page(b"".join([*parts, sse_position(position.id)]), position, None)

    def _settled(
        self, topic: str, rules: TopicRules, view: View, at: Position, key: str | None
    ) -> Page | None:
        """The answer where no events belong to it; None: events follow."""
        now = view.place.position
        if at.sequence < view.since:
            return _reset(view, key, "the topic was re-created")
        if len(at.offsets) > len(now.offsets):
            # Before anything is made of it: each id in an answer would carry all of them.
            return _reset(view, key, "unknown id")
        if key is not None and at.grip_id == view.key_id:
            return _caught_up(view, key)
        if not now.reaches(at.offsets):
            return self._ahead(topic, view, at, key)
        if at.reaches(now.offsets):
            return _caught_up(view, key)
        if at.lag(now.offsets) > rules.max_replay:
            return _reset(view, key, f"more than {rules.max_replay} records behind")
        return None

    def _ahead(self, topic: str, view: View, at: Position, key: str | None) -> Page:
        """The viewer has seen what Redis does not know: it was rolled back, or the id is wrong."""
        ends = self._replay.ends(topic, len(view.place.position.offsets))
        if any(offset > end.high for offset, end in zip(at.offsets, ends, strict=False)):
            return _reset(view, key, "unknown id")
        # Held where it stands: each item makes Pushpin ask again, until the relay has come past.
        return Page(sse_position(at.id), at, at.grip_id)

    def _from_kafka(
        self, topic: str, rules: TopicRules, at: Position, now: Position, key: str | None
    ) -> tuple[list[bytes], Position]:
        start = {number: at.offset(number) for number in range(len(now.offsets))}
        parts: list[bytes] = []
        size, position = 0, at
        with closing(self._replay.read(topic, start, dict(enumerate(now.offsets)))) as records:
            for record in records:
                number = record.partition
                if isinstance(record, Done):
                    position = position.moved(number, now.offset(number), at.sequence)
                    continue
                offset = record.offset
                position = position.moved(number, offset + 1, at.sequence)
                if key is None or (record.key and encode_key(record.key) == key):
                    text = encode(rules, number, offset, record.key, record.value, record.headers)
                    parts.append(with_id(position.id, text))
                    size += len(parts[-1])
                if size > KAFKA_PAGE_BYTES:
                    break
        return parts, position


def _leads_on(view: View, at: Position) -> bool:
    """Whether the stream goes on where `at` stands."""
    return bool(view.entries) and at.reaches(view.entries[0].before)


def _from_entries(
    entries: tuple[Entry, ...], at: Position, key: str | None
) -> tuple[list[bytes], Position]:
    """Events of the stream that follow `at`, as far as they follow it without a gap."""
    parts: list[bytes] = []
    size, position = 0, at
    for entry in entries:
        if not position.reaches(entry.before):
            break
        seen = position.offset(entry.partition)
        ahead, behind = position.frame(entry.partition)
        offset, sequence = seen, position.sequence
        for number, event in enumerate(entry.unpack()):
            if event.offset < seen:
                continue
            offset, sequence = event.offset + 1, entry.first + number
            if key is None or event.key == key:
                parts.append(with_id(f"{sequence}/{ahead}{offset}{behind}", event.text))
                size += len(parts[-1])
                if size > PAGE_BYTES:
                    break
        position = position.moved(entry.partition, offset, sequence)
        if size > PAGE_BYTES:
            break
    return parts, position


def _chain(view: View, key: str | None) -> str:
    return view.place.position.grip_id if key is None else view.key_id


def _caught_up(view: View, key: str | None) -> Page:
    position = view.place.position
    return Page(sse_position(position.id), position, _chain(view, key))


def _reset(view: View, key: str | None, reason: str) -> Page:
    position = view.place.position
    return Page(sse_reset(reason, position.id), position, _chain(view, key))
