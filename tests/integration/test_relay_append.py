"""relay_append.lua and relay_place.lua: each record once, in order, numbered upwards."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.positions import Position
from holdfast.relay_state import Appended, Chunk, Event, Known, RelayState

TOPIC, ID = "test", "the topic's id"


@pytest.fixture
def relay(client):
    return RelayState(client)


def chunk(partition, position, *offsets, key=None, text=b"data: x\n\n"):
    return Chunk(partition, position, tuple(Event(offset, key, text) for offset in offsets))


def append(relay, *chunks, **more):
    return relay.append(TOPIC, ID, chunks, **more)


def entries(relay):
    return relay.view(TOPIC, 0, 10**9).entries


def offsets_in_stream(relay, partition):
    return [
        event.offset
        for entry in entries(relay)
        if entry.partition == partition
        for event in entry.unpack()
    ]


def test_a_topic_that_was_not_placed_is_unknown(relay):
    assert append(relay, chunk(0, 0, 0)) == [Known(None)]
    assert relay.place(TOPIC) is None
    assert relay.view(TOPIC, 0, 10) is None


def test_a_partition_that_was_not_placed_is_unknown_until_it_is_added(relay):
    relay.put(TOPIC, ID, [5])
    assert append(relay, chunk(1, 0, 0)) == [Known(None)]
    assert relay.put(TOPIC, ID, [0, 3]).position.offsets == (5, 3)
    assert isinstance(append(relay, chunk(1, 3, 3))[0], Appended)


def test_events_get_consecutive_sequences_and_the_position_before(relay):
    start = relay.put(TOPIC, ID, [10, 20], now_us=1_000).position
    first, second = append(relay, chunk(0, 10, 10, 11), chunk(1, 20, 20), now_us=2_000)
    assert first == Appended(2_000, start, {})
    assert second == Appended(2_002, Position(2_001, (12, 20)), {})
    assert relay.place(TOPIC).position == Position(2_002, (12, 21))


def test_a_sequence_is_never_below_one_that_was_used(relay):
    relay.put(TOPIC, ID, [0], now_us=5_000)
    (a,) = append(relay, chunk(0, 0, 0, 1, 2), now_us=10)  # a clock that went back
    (b,) = append(relay, chunk(0, 3, 3), used=70_000, now_us=10)
    assert (a.first, b.first) == (5_001, 70_001)
    assert relay.put("other", ID, [0], used=80_000, now_us=10).position.sequence == 80_001


def test_what_was_appended_is_not_appended_again(relay):
    relay.put(TOPIC, ID, [0])
    append(relay, chunk(0, 0, 0, 1))
    assert append(relay, chunk(0, 0, 0, 1)) == [Known(2)]
    assert append(relay, chunk(0, 1, 1, 2)) == [Known(2)]
    assert append(relay, chunk(0, 3, 3)) == [Known(2)]
    assert offsets_in_stream(relay, 0) == [0, 1]


def test_a_chunk_behind_one_that_was_refused_is_refused_too(relay):
    relay.put(TOPIC, ID, [0])
    assert append(relay, chunk(0, 1, 1), chunk(0, 2, 2)) == [Known(0), Known(0)]


def test_another_log_of_the_same_name_is_unknown(relay):
    relay.put(TOPIC, ID, [7])
    append(relay, chunk(0, 7, 7))
    before = relay.place(TOPIC).position
    assert relay.append(TOPIC, "another id", [chunk(0, 8, 8)]) == [Known(None)]
    after = relay.put(TOPIC, "another id", [0]).position
    assert after.offsets == (0,)
    assert after.sequence > before.sequence
    view = relay.view(TOPIC, 0, 10)
    assert (view.since, view.entries) == (after.sequence, ())


def test_a_wiped_redis_has_no_former_log_to_tell_apart(relay, client):
    relay.put(TOPIC, ID, [7])
    client.flushall()
    relay.put(TOPIC, ID, [7])
    assert relay.view(TOPIC, None, 0).since == 0


def test_placing_again_changes_nothing_and_never_goes_back(relay):
    relay.put(TOPIC, ID, [5, 5])
    append(relay, chunk(0, 5, 5))
    before = relay.place(TOPIC)
    assert relay.put(TOPIC, ID, [3, 5]) == before
    # Records that are gone: the chain breaks, so that nobody passes over them unknowingly.
    after = relay.put(TOPIC, ID, [0, 9]).position
    assert after.offsets == (6, 9)
    assert after.sequence > before.position.sequence


def test_between_one_and_two_times_the_limit_is_kept(relay, client):
    relay.put(TOPIC, ID, [0])
    kept = []
    for offset in range(40):
        append(relay, chunk(0, offset, offset), keep_events=10)
        kept.append(client.xlen(f"events:{TOPIC}"))
    assert max(kept) == 20
    assert min(kept[10:]) == 11
    assert offsets_in_stream(relay, 0) == list(range(40 - kept[-1], 40))


def test_bytes_are_limited_too(relay, client):
    relay.put(TOPIC, ID, [0])
    for offset in range(20):
        append(relay, chunk(0, offset, offset, text=b"x" * 1_000), keep_bytes=5_000)
        assert client.xlen(f"events:{TOPIC}") <= 10
    assert offsets_in_stream(relay, 0)[-1] == 19


def test_each_key_has_a_chain_of_its_own(relay):
    seed = relay.put(TOPIC, ID, [0, 0], now_us=1).position
    (a,) = append(
        relay,
        Chunk(0, 0, (Event(0, "a", b""), Event(1, "b", b""), Event(2, "a", b""))),
        now_us=100,
    )
    assert a.key_ids == {"a": seed.grip_id, "b": seed.grip_id}
    (b,) = append(relay, chunk(1, 0, 0, key="a"), now_us=200)
    assert b.key_ids == {"a": Position(102, (3, 0)).grip_id}
    assert relay.key_ids(TOPIC, ["a", "b", "c"]) == ["200-3-1", "101-2-0", None]
    assert relay.view(TOPIC, None, 0, "b").key_id == "101-2-0"
    assert relay.view(TOPIC, None, 0, "c").key_id == seed.grip_id


def test_forgotten_keys_are_told_by_an_id_that_nobody_has(relay):
    relay.put(TOPIC, ID, [0], now_us=1)
    append(relay, chunk(0, 0, 0, key="a"), chunk(0, 1, 1, key="b"), now_us=100)
    before = relay.place(TOPIC).position
    (third,) = append(relay, chunk(0, 2, 2, key="a"), keep_keys=1, now_us=200)
    assert third.key_ids == {"a": before.grip_id}
    assert relay.view(TOPIC, None, 0, "b").key_id == before.grip_id


def test_events_of_another_look_are_neither_kept_nor_appended(relay, client):
    relay.put(TOPIC, ID, [0], look="all of it", now_us=1)
    secret = chunk(0, 0, 0, key="a", text=b"data: secret\n\n")
    append(relay, secret, look="all of it", now_us=100)
    before = relay.place(TOPIC)
    after = relay.put(TOPIC, ID, [0], look="a part")
    assert (after.look, after.position.offsets) == ("a part", (1,))
    assert after.position.sequence > before.position.sequence
    assert relay.place(TOPIC) == after
    assert entries(relay) == ()
    assert not client.exists(f"relay_keys:{TOPIC}")
    view = relay.view(TOPIC, None, 0, "a")
    assert (view.key_id, view.since) == (after.position.grip_id, 0)
    # A relay that was not restarted yet.
    assert append(relay, chunk(0, 1, 1), look="all of it") == [Known(None)]
    (shown,) = append(relay, chunk(0, 1, 1, key="a"), look="a part")
    assert shown.key_ids == {"a": after.position.grip_id}
    assert relay.put(TOPIC, ID, [0], look="a part") == relay.place(TOPIC)


def test_the_size_of_a_stream_that_was_dropped_is_not_counted_on(relay, client):
    relay.put(TOPIC, ID, [0])
    append(relay, chunk(0, 0, *range(9)), keep_events=10)
    relay.put(TOPIC, ID, [0], look="other")
    for offset in range(9, 20):
        append(relay, chunk(0, offset, offset), look="other", keep_events=10)
        kept = client.xlen(f"events:{TOPIC}")
    assert kept == 11


def test_records_that_are_gone_break_the_chains_of_keys_too(relay):
    relay.put(TOPIC, ID, [0])
    append(relay, chunk(0, 0, 0, key="a"))
    after = relay.put(TOPIC, ID, [5]).position
    assert relay.key_ids(TOPIC, ["a"]) == [None]
    (next_,) = append(relay, chunk(0, 5, 5, key="a"), chunk(0, 6, 6, key="b"))[:1]
    assert next_.key_ids == {"a": after.grip_id}
    assert relay.view(TOPIC, None, 0, "b").key_id != after.grip_id
    assert relay.view(TOPIC, None, 0, "c").key_id == after.grip_id


def test_the_newest_keys_are_found(relay):
    relay.put(TOPIC, ID, [0])
    assert relay.newest_keys(TOPIC, 5) == set()
    for offset in range(30):
        append(relay, chunk(0, offset, offset, key=f"k{offset}"))
    assert {f"k{number}" for number in range(25, 30)} <= relay.newest_keys(TOPIC, 5)
    assert "k0" not in relay.newest_keys(TOPIC, 5)
    assert relay.newest_keys(TOPIC, 1_000) == {f"k{number}" for number in range(30)}


class _Log:
    """Two partitions; offsets with gaps, as compaction leaves them."""

    offsets = ((0, 1, 2, 5, 6, 9), (0, 3, 4, 5, 7, 8))


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(1, 4), st.integers(0, 50)),
        max_size=40,
    ),
    st.sets(st.integers(0, 39)),
)
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)
def test_whatever_is_repeated_or_lost_each_record_comes_once_and_in_order(client, steps, wipes):
    """Batches from anywhere, and a Redis that is wiped; the caller goes where it is told."""
    client.flushall()
    relay = RelayState(client)
    relay.put(TOPIC, ID, [0, 0])
    used = 0
    for number, (partition, first, length, now_us) in enumerate(steps):
        if number in wipes:
            # Begin again: nobody may get a sequence that was used, whatever the clock says.
            client.flushall()
            place = relay.put(TOPIC, ID, [0, 0], used=used, now_us=now_us)
            assert place.position.sequence > used
            used = place.position.sequence
        log = _Log.offsets[partition]
        position = log[first - 1] + 1 if first else 0
        offsets = log[first : first + length]
        (result,) = append(relay, chunk(partition, position, *offsets), used=used, now_us=now_us)
        if isinstance(result, Appended):
            assert result.first > used
            used = result.first + len(offsets) - 1
        else:
            assert result.offset != position
    for partition, log in enumerate(_Log.offsets):
        found = offsets_in_stream(relay, partition)
        assert found == list(log[: len(found)])
    firsts = [entry.first for entry in entries(relay)]
    assert all(a < b for a, b in pairwise(firsts))


def test_a_relay_is_a_member_until_its_lease_ends_or_it_leaves(relay):
    assert relay.members("b", 3_000, now_ms=1_000) == ["b"]
    assert relay.members("a", 3_000, now_ms=2_000) == ["a", "b"]
    assert relay.members("a", 3_000, now_ms=3_999) == ["a", "b"]
    assert relay.members("a", 3_000, now_ms=4_000) == ["a"]
    assert relay.members("b", 3_000) == ["b"]
    assert relay.members("b", 0) == []


def test_a_view_stops_when_it_has_enough_and_goes_on_from_a_sequence(relay):
    relay.put(TOPIC, ID, [0])
    for offset in range(30):
        append(relay, chunk(0, offset, offset, text=b"x" * 100), now_us=1_000 + 10 * offset)
    first = relay.view(TOPIC, 0, 1_000).entries
    assert 8 <= len(first) < 24
    rest = relay.view(TOPIC, first[-1].first, 10**6, None, (first[-1].next,)).entries
    assert [event.offset for entry in (*first, *rest) for event in entry.unpack()] == list(
        range(30)
    )
    assert relay.view(TOPIC, first[-1].first, 10**6).entries == (first[-1], *rest)
    assert relay.view(TOPIC, None, 10**6).entries == ()
