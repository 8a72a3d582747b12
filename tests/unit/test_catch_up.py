"""Which events of a topic's stream follow a position: none twice, none after a gap."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from holdfast.positions import Position
from holdfast.relay_state import Entry, Event
from loadtest.sse import EventParser
from origin.catch_up import PAGE_BYTES, _from_entries


def entry(first, partition, before, *offsets, key=None, text=b"data: x\n\n"):
    events = [Event(offset, key, text) for offset in offsets]
    return Entry(first, partition, before, offsets[-1] + 1, msgspec.msgpack.encode(events))


def ids(entries, at, key=None):
    parts, position = _from_entries(tuple(entries), at, key)
    return [event.id for event in EventParser().feed(b"".join(parts))], position


STREAM = [
    entry(100, 0, (5, 7), 5, 6),
    entry(200, 1, (7, 7), 7),
    entry(300, 0, (7, 8), 7, 9),  # 8 was compacted away
]


def test_all_of_it_follows_where_it_begins():
    assert ids(STREAM, Position(99, (5, 7))) == (
        ["100/6,7", "101/7,7", "200/7,8", "300/8,8", "301/10,8"],
        Position(301, (10, 8)),
    )


def test_what_was_seen_is_left_out_and_an_id_says_all_that_was_seen():
    assert ids(STREAM, Position(400, (6, 8))) == (
        ["101/7,8", "300/8,8", "301/10,8"],
        Position(400, (10, 8)),
    )


def test_nothing_follows_a_gap():
    assert ids(STREAM, Position(99, (5, 6))) == ([], Position(99, (5, 6)))
    gap = [STREAM[0], STREAM[2]]
    assert ids(gap, Position(99, (5, 7))) == (["100/6,7", "101/7,7"], Position(101, (7, 7)))


def test_a_partition_that_is_new_begins_at_its_start():
    entries = [entry(100, 1, (5, 0), 0)]
    assert ids(entries, Position(99, (5,))) == (["100/5,1"], Position(100, (5, 1)))


def test_a_key_passes_over_what_is_not_its_own():
    entries = [entry(100, 0, (0,), 0, key="a"), entry(101, 0, (1,), 1, key="b")]
    assert ids(entries, Position(0, (0,)), "b") == (["101/2"], Position(101, (2,)))
    assert ids(entries, Position(0, (0,)), "c") == ([], Position(101, (2,)))


def test_a_page_ends_when_it_is_full_in_the_middle_of_a_chunk():
    text = b"data: " + b"x" * 50_000 + b"\n\n"
    found, position = ids([entry(100, 0, (0,), *range(20), text=text)], Position(0, (0,)))
    assert len(found) == PAGE_BYTES // 50_000
    assert position == Position(99 + len(found), (len(found),))


@given(st.data())
def test_from_anywhere_in_the_stream_exactly_the_rest_follows(data):
    """Chunks of three partitions in any order; a viewer that has seen any part of each."""
    offsets, entries, sequence = [0, 0, 0], [], 1
    for _ in range(data.draw(st.integers(1, 8))):
        partition, count = data.draw(st.integers(0, 2)), data.draw(st.integers(1, 3))
        numbers = range(offsets[partition], offsets[partition] + count)
        entries.append(entry(sequence, partition, tuple(offsets), *numbers))
        offsets[partition] += count
        sequence += count
    seen = tuple(data.draw(st.integers(0, offset)) for offset in offsets)
    found, position = ids(entries, Position(0, seen))
    assert len(found) == sum(offsets) - sum(seen)
    assert position.offsets == tuple(offsets)
    expected = list(seen)
    for text in found:
        now = Position.parse(text).offsets
        (moved,) = [n for n in range(3) if now[n] != expected[n]]
        assert now[moved] == expected[moved] + 1
        expected = list(now)
