"""apply_each.lua: an idempotency key counts once in 24 h of record time, at a bounded memory."""

from __future__ import annotations

import pytest

from holdfast.state import Counted, EachUpdate, Partition, Series
from holdfast.updates import INT64_MAX

DAY_MS = 86_400_000
NOW = 1_764_000_000_000


@pytest.fixture
def apply(state, partition):
    """Applies (offset, at, key, change) to a sum, or to a latest when told so."""

    def apply(*updates, batch_first=None, most=1000, operation="add", on=partition):
        first = updates[0][0] if batch_first is None else batch_first
        each = tuple(
            EachUpdate(offset, at, key, b"%d" % change) for offset, at, key, change in updates
        )
        (counted,) = state.apply_each(on, 0, first, [Series("counter", operation, each)], most)
        return counted

    return apply


def value(client):
    return int(client.hget("value:counter", "value"))


def test_a_key_counts_once_within_a_batch_and_across_batches(client, apply):
    assert apply((0, NOW, b"k", 1), (1, NOW, b"k", 1), (2, NOW, b"", 1)) == Counted(1, ())
    assert apply((3, NOW + DAY_MS - 1, b"k", 1), batch_first=0) == Counted(1, ())
    assert value(client) == 2


def test_a_key_counts_again_after_24_hours_of_record_time(client, apply):
    apply((0, NOW, b"k", 1))
    assert apply((1, NOW + DAY_MS, b"k", 1), batch_first=0) == Counted(0, ())
    assert apply((2, NOW + 2 * DAY_MS - 1, b"k", 1), batch_first=0) == Counted(1, ())
    assert value(client) == 2


def test_a_duplicate_does_not_prolong_its_key(client, apply):
    apply((0, NOW, b"k", 1), (1, NOW + DAY_MS // 2, b"k", 1))
    apply((2, NOW + DAY_MS, b"k", 1), batch_first=0)
    assert value(client) == 2


def test_a_replay_of_the_batch_counts_nothing_and_reports_no_duplicate(client, apply):
    batch = [(0, NOW, b"k", 1), (1, NOW, b"l", 1)]
    apply(*batch)
    assert apply(*batch) == Counted(0, ())
    assert apply(*batch, (2, NOW, b"m", 1), batch_first=0) == Counted(0, ())
    assert value(client) == 3


def test_a_clock_that_goes_back_makes_no_key_count_twice(client, apply):
    apply((0, NOW, b"k", 1), (1, NOW - 3_600_000, b"k", 1))
    assert value(client) == 1


def test_a_producer_whose_clock_is_an_hour_ahead_makes_no_key_forgotten(client, apply):
    apply((0, NOW, b"k", 1))
    apply((1, NOW + DAY_MS - 1 + 3_600_000, b"l", 1), batch_first=0)
    assert apply((2, NOW + DAY_MS - 1, b"k", 1), batch_first=0) == Counted(1, ())


def test_keys_are_forgotten_after_a_day_and_an_hour(client, apply):
    apply(*((offset, NOW + offset, b"%d" % offset, 1) for offset in range(100)))
    apply((100, NOW + DAY_MS + 3_600_000 + 49, b"k", 1), batch_first=0)
    assert client.zcard("keys:counter") == 51


def test_the_oldest_key_gives_way_where_there_are_too_many(client, apply):
    apply(*((offset, NOW + offset, b"%d" % offset, 1) for offset in range(10)), most=4)
    assert client.zrange("keys:counter", 0, -1) == [b"6", b"7", b"8", b"9"]


@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_the_bound_decides_the_same_in_any_batches(client, apply, size):
    updates = [(offset, NOW + offset, b"%d" % (offset * 7 % 13), 1) for offset in range(50)]
    for first in range(0, len(updates), size):
        apply(*updates[first : first + size], batch_first=0, most=5)
    assert value(client) == _by_hand(updates, 5)


def _by_hand(updates, most):
    keys, total = {}, 0
    for _, at, key, change in updates:
        if key not in keys:
            keys[key] = at
            total += change
            if len(keys) > most:
                del keys[min(keys, key=lambda key: keys[key])]
    return total


def test_keys_of_one_value_are_shared_by_its_partitions(client, apply):
    apply((0, NOW, b"k", 1))
    apply((0, NOW, b"k", 1), on=Partition("updates", 1))
    assert value(client) == 1


def test_a_sum_that_would_overflow_is_named_and_the_others_count(client, apply):
    counted = apply((0, NOW, b"k", INT64_MAX), (1, NOW, b"l", 1), (2, NOW, b"m", -5))
    assert counted == Counted(0, (1,))
    assert value(client) == INT64_MAX - 5


def test_a_latest_keeps_the_newest_and_takes_no_duplicate(client, apply):
    apply((0, 10, b"k", 1), (1, 30, b"l", 2), (2, 20, b"m", 3), (3, 40, b"k", 4), operation="set")
    assert client.hget("value:counter", "value") == b"2"
    assert client.hget("value:counter", "stamp") == b"30 0 1"


def test_redis_that_knows_less_than_the_batch_assumes_changes_nothing(client, apply):
    assert apply((5, NOW, b"k", 1)) is None
    assert client.keys("*") == []


def test_only_duplicates_make_no_value_dirty(client, state, partition, apply):
    apply((0, NOW, b"k", 1))
    client.delete(partition.key("dirty"))
    apply((1, NOW, b"k", 1), batch_first=0)
    assert state.dirty(partition) == []
