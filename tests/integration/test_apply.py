"""apply.lua and advance.lua: exactly once, whatever is repeated, and nothing skipped."""

from __future__ import annotations

import pytest

from holdfast.errors import UnavailableError
from holdfast.state import Partition
from holdfast.updates import INT64_MAX, INT64_MIN
from tests.integration.folds import adds, sets


@pytest.fixture
def apply(state, partition):
    """Applies one fold; its batch starts at the fold's first offset unless told otherwise."""

    def apply(fold, *, batch_first=None, log_start=0, on=partition):
        first = fold.first if batch_first is None else batch_first
        ((word, offset),) = state.apply(on, log_start, first, [fold])
        return (word, offset) if word in ("REWIND", "PARTIAL") else word

    return apply


def value(client, name):
    return client.hget(f"value:{name}", "value")


def test_a_fold_adds_its_total_and_marks_the_value_dirty(client, state, partition, apply):
    assert apply(adds("counter", 0, 1, 2, 3)) == "APPLIED"
    assert value(client, "counter") == b"6"
    assert client.hget("value:counter", "applied:updates:0") == b"3"
    assert state.dirty(partition) == ["counter"]


def test_a_replayed_fold_changes_nothing(client, apply):
    apply(adds("counter", 0, 1, 2, 3))
    before = client.hgetall("value:counter")
    assert apply(adds("counter", 0, 1, 2, 3)) == "REPLAY"
    assert apply(adds("counter", 1, 2), batch_first=0) == "REPLAY"
    assert client.hgetall("value:counter") == before


def test_a_fold_that_overlaps_what_is_applied_is_asked_for_again(client, apply):
    apply(adds("counter", 0, 1, 2, 3))
    assert apply(adds("counter", 0, 1, 2, 3, 4)) == ("PARTIAL", 3)
    assert apply(adds("counter", 3, 4), batch_first=0) == "APPLIED"
    assert value(client, "counter") == b"10"


def test_a_fold_from_exactly_where_the_last_one_ended_is_applied(client, state, partition, apply):
    apply(adds("counter", 0, 1, 2, 3))
    state.advance(partition, 0, 0, 3)
    assert apply(adds("counter", 3, 4)) == "APPLIED"


def test_partitions_are_guarded_apart(client, apply):
    apply(sets("headline", 5, "new", at=2000), batch_first=0)
    other = Partition("updates", 1)
    assert apply(sets("headline", 5, "newer", at=3000), batch_first=0, on=other) == "APPLIED"
    assert value(client, "headline") == b'"newer"'


def test_a_redis_that_knows_less_than_the_batch_assumes_asks_for_a_rewind(client, apply):
    client.set("offset:updates:0", 40)
    assert apply(adds("counter", 100, 1), batch_first=100) == ("REWIND", 40)
    assert not client.exists("value:counter", "dirty:updates:0")


def test_a_redis_that_knows_nothing_asks_for_the_start_of_the_log(client, apply):
    assert apply(adds("counter", 100, 1), batch_first=100, log_start=7) == ("REWIND", 7)
    assert apply(adds("counter", 7, 1), batch_first=7, log_start=7) == "APPLIED"


def test_a_batch_from_below_the_known_offset_needs_no_rewind(client, state, partition, apply):
    state.advance(partition, 0, 0, 50)
    assert apply(adds("counter", 40, 1), batch_first=40) == "APPLIED"


@pytest.mark.parametrize(
    ("start", "numbers"),
    [
        (INT64_MAX, (1,)),
        (INT64_MAX - 5, (10,)),
        (INT64_MIN, (-1,)),
        (INT64_MIN + 5, (-10,)),
        (1, (INT64_MAX,)),
        (-1, (INT64_MIN,)),
    ],
)
def test_one_record_that_leaves_64_bits_is_rejected_once_and_for_all(client, apply, start, numbers):
    client.hset("value:counter", "value", start)
    fold = adds("counter", 0, *numbers)
    assert apply(fold) == "REJECTED"
    assert value(client, "counter") == b"%d" % start
    assert apply(fold) == "REPLAY"
    assert apply(adds("counter", 1, 0), batch_first=0) == "APPLIED"


@pytest.mark.parametrize(
    ("start", "numbers"),
    [
        (INT64_MAX - 1, (2, -2)),
        (INT64_MAX - 1, (-5, 7, -7)),
        (INT64_MIN + 1, (-2, 2)),
        (INT64_MIN + 1, (5, -7, 7)),
        (INT64_MAX - 3, (1, 1, 1, 1, -4)),
        (INT64_MIN + 3, (1, -5, 4, 4)),
    ],
)
def test_a_fold_that_leaves_64_bits_on_the_way_changes_nothing(client, apply, start, numbers):
    """Its total would fit: only record by record can it be decided which one is rejected."""
    client.hset("value:counter", "value", start)
    before = client.hgetall("value:counter")
    assert apply(adds("counter", 0, *numbers)) == "OVERFLOW"
    assert client.hgetall("value:counter") == before
    assert not client.exists("dirty:updates:0")


@pytest.mark.parametrize(
    ("start", "numbers", "total"),
    [
        (0, (INT64_MAX,), INT64_MAX),
        (0, (INT64_MIN,), INT64_MIN),
        (-1, (INT64_MIN + 1,), INT64_MIN),
        (INT64_MAX, (0,), INT64_MAX),
        (INT64_MAX, (-1, 1), INT64_MAX),
        (INT64_MIN, (1, -1), INT64_MIN),
        (2**53, (1, 1, 1), 2**53 + 3),
        (-(2**53), (-1, -1, -1), -(2**53) - 3),
    ],
)
def test_sums_are_exact_up_to_the_last_bit(client, apply, start, numbers, total):
    client.hset("value:counter", "value", start)
    assert apply(adds("counter", 0, *numbers)) == "APPLIED"
    assert value(client, "counter") == b"%d" % total


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        # (record timestamp, partition, offset): each decides only when those before are equal
        ((1000, 3, 90), (1001, 0, 1)),
        ((1000, 0, 90), (1000, 1, 1)),
        ((-1, 3, 90), (0, 0, 1)),
        ((999, 1, 0), (1000, 0, 0)),  # as numbers, not as text
        ((1000, 9, 0), (1000, 10, 0)),
    ],
)
@pytest.mark.parametrize("newest_last", [True, False])
def test_the_newest_record_wins_in_whatever_order_partitions_are_read(
    client, apply, older, newer, newest_last
):
    records = [(older, "older"), (newer, "newer")]
    for (at, number, offset), text in records if newest_last else reversed(records):
        fold = sets("headline", offset, text, at=at, partition=number)
        assert apply(fold, batch_first=0, on=Partition("updates", number)) == "APPLIED"
    assert value(client, "headline") == b'"newer"'


def test_of_two_records_with_one_timestamp_the_later_offset_wins(client, apply):
    apply(sets("headline", 9, "older"), batch_first=0)
    apply(sets("headline", 10, "newer"), batch_first=0)
    assert value(client, "headline") == b'"newer"'


def test_a_record_with_an_older_timestamp_and_a_later_offset_is_counted_as_applied(client, apply):
    apply(sets("headline", 0, "newer", at=2000))
    assert apply(sets("headline", 1, "older", at=1000), batch_first=0) == "APPLIED"
    assert value(client, "headline") == b'"newer"'
    assert apply(sets("headline", 1, "older", at=1000), batch_first=0) == "REPLAY"


def test_values_hold_any_bytes_of_json(client, apply):
    text = "\0 \r\n\u2028 \U0001f600 % {} 'quoted'"
    apply(sets("headline", 0, text))
    assert b"\\u0000" in value(client, "headline")


def test_the_time_of_the_first_unreleased_change_is_kept(client, apply):
    apply(adds("counter", 0, 1))
    changed_at = client.hget("value:counter", "changed_at")
    seconds, micros = client.time()
    assert abs(int(changed_at) - (seconds * 1_000_000 + micros)) < 5_000_000
    apply(adds("counter", 1, 1), batch_first=0)
    assert client.hget("value:counter", "changed_at") == changed_at


def test_many_folds_travel_in_one_round_trip_and_each_gets_its_own_answer(client, state, partition):
    client.hset("value:full", "value", INT64_MAX)
    state.apply(partition, 0, 0, [adds("seen", 0, 1)])
    folds = [adds("counter", 0, 1), adds("seen", 0, 1), adds("full", 2, 1), sets("headline", 3, 1)]
    words = [word for word, _ in state.apply(partition, 0, 0, folds)]
    assert words == ["APPLIED", "REPLAY", "REJECTED", "APPLIED"]
    assert state.apply(partition, 0, 0, []) == []


# -- advance


def test_an_offset_moves_on_and_never_back(client, state, partition):
    assert state.known(partition).offset is None
    assert state.advance(partition, 0, 0, 10) is None
    assert state.known(partition).offset == 10
    assert state.advance(partition, 0, 5, 8) is None
    assert state.known(partition).offset == 10


def test_an_offset_at_the_start_of_the_log_is_noted_too(state, partition):
    assert state.advance(partition, 3, 3, 3) is None
    assert state.known(partition).offset == 3


def test_an_offset_does_not_jump_over_what_redis_lost(client, state, partition):
    state.advance(partition, 0, 0, 10)
    assert state.advance(partition, 0, 11, 20) == 10
    client.delete("offset:updates:0")
    assert state.advance(partition, 4, 11, 20) == 4
    assert state.known(partition).offset is None


def test_offsets_are_kept_by_topic_and_partition(state):
    state.advance(Partition("updates", 1), 0, 0, 10)
    assert state.known(Partition("updates", 10)).offset is None
    assert state.known(Partition("ticks", 1)).offset is None


# -- SCRIPT FLUSH


def test_scripts_that_redis_forgot_are_loaded_again(client, state, partition, apply):
    for offset in range(3):
        client.script_flush()
        assert apply(adds("counter", offset, 1), batch_first=0) == "APPLIED"
        client.script_flush()
        assert state.advance(partition, 0, 0, offset + 1) is None
    assert value(client, "counter") == b"3"


def test_scripts_forgotten_in_the_middle_of_a_pipeline_leave_a_batch_that_can_be_repeated(
    client, state, partition, monkeypatch
):
    """Half of the folds are applied, then Redis knows the script no more."""
    state.apply(partition, 0, 0, [])
    pipeline = client.pipeline

    def flushing(*args, **kwargs):
        pipe = pipeline(*args, **kwargs)
        evaluate = pipe.evalsha

        def evalsha(*args):
            if len(pipe.command_stack) == 1:
                pipe.script_flush()
            return evaluate(*args)

        pipe.evalsha = evalsha
        return pipe

    folds = [adds("counter", 0, 1), adds("visits", 1, 1)]
    monkeypatch.setattr(client, "pipeline", flushing)
    with pytest.raises(UnavailableError):
        state.apply(partition, 0, 0, folds)
    assert (value(client, "counter"), value(client, "visits")) == (b"1", None)
    monkeypatch.undo()
    assert [word for word, _ in state.apply(partition, 0, 0, folds)] == ["REPLAY", "APPLIED"]
    assert (value(client, "counter"), value(client, "visits")) == (b"1", b"1")
