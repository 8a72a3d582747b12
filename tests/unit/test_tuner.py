"""The publisher's table of settings: what it has read, and when that is enough to act on."""

from __future__ import annotations

import pytest

from holdfast.logs import Log
from holdfast.operator_settings import Change
from publisher.fold import Record
from publisher.tuner import Tuner
from tests.simulation.model_redis import ModelMirror, ModelRedis


@pytest.fixture
def redis():
    return ModelRedis(1)


@pytest.fixture
def tuner(redis):
    return Tuner(ModelMirror(redis))


def log(high, *, low=0, topic_id="id"):
    return Log(low, high, topic_id, 1)


def record(offset, key="value:counter", to=None):
    value = None if to is None else Change(key, "alice", 1000, None, to).encode()
    return Record(offset, 1000, key.encode(), value, None)


def rate(tuner, key="value:counter"):
    setting = tuner.tuning.get(key)
    return setting and setting.to["rate"]


def test_it_is_caught_up_once_it_has_read_what_was_there_at_its_start(tuner):
    assert not tuner.caught_up
    tuner.start(log(3))
    tuner.take([record(0, to={"rate": 1}), record(1, to={"rate": 2})])
    assert not tuner.caught_up
    tuner.pass_end(3)  # the last one was a marker of a transaction
    assert (tuner.caught_up, tuner.position, rate(tuner)) == (True, 2, 2)


def test_an_empty_topic_is_read_at_once(tuner):
    tuner.start(log(0))
    assert tuner.caught_up


def test_a_tombstone_unsets_and_the_newest_record_of_a_key_holds(tuner):
    tuner.start(log(0))
    keys = tuner.take(
        [record(0, to={"rate": 1}), record(1, "pause:a", {}), record(2), record(3, "hook:1", {})]
    )
    assert keys == ["value:counter", "pause:a", "value:counter", "hook:1"]
    assert {setting.key for setting in tuner.tuning} == {"pause:a", "hook:1"}


def test_records_that_were_read_before_are_passed_over(tuner):
    tuner.start(log(0))
    tuner.take([record(0, to={"rate": 1}), record(1, to={"rate": 2})])
    assert tuner.take([record(0, to={"rate": 1})]) == []
    assert rate(tuner) == 2


@pytest.mark.parametrize(
    "value",
    [
        b"{",
        b"[]",
        b'{"key":"value:other","who":"a","at":"2026-01-01T00:00:00Z","to":{}}',
        b'{"key":"value:counter","who":"a","at":"2026-01-01T00:00:00Z","to":1}',
        b'{"key":"value:counter","who":1,"at":"2026-01-01T00:00:00Z","to":{}}',
    ],
)
def test_a_malformed_record_counts_as_not_set(tuner, value):
    """Whoever reads the topic after its compaction can't know what was before."""
    tuner.start(log(0))
    tuner.take([record(0, to={"rate": 1}), Record(1, 1000, b"value:counter", value, None)])
    assert list(tuner.tuning) == []
    assert tuner.position == 2


def test_redis_is_told_once_everything_is_read_and_after_each_change(tuner, redis):
    tuner.start(log(2))
    tuner.take([record(0, to={"rate": 1})])
    tuner.mirror()
    assert redis.data.settings is None
    tuner.take([record(1, to={"rate": 2})])
    tuner.mirror()
    assert redis.data.settings[1] == 2
    tuner.take([record(2)])
    tuner.mirror()
    assert redis.data.settings[1:] == (3, {})


def test_a_redis_that_lost_the_settings_is_told_again_by_who_has_asked_kafka_since(tuner, redis):
    """Redis may have been told more than this publisher has read."""
    tuner.start(log(0))
    tuner.take([record(0, to={"rate": 1})])
    tuner.mirror()
    redis.data.settings = None
    tuner.check()
    assert (tuner.caught_up, tuner.reading) == (False, False)
    tuner.mirror()
    assert redis.data.settings is None
    tuner.start(log(2))
    assert not tuner.caught_up
    tuner.take([record(1, to={"rate": 2})])
    tuner.mirror()
    assert redis.data.settings[1] == 2


def test_a_record_that_another_has_read_and_compaction_took_holds_nobody_up(tuner, redis):
    ModelMirror(redis).write("id", 8, [])
    tuner.start(log(9))
    tuner.take([record(3, to={"rate": 1})])
    tuner.pass_end(9)
    tuner.mirror()
    assert tuner.position == 8


def test_who_has_read_less_than_another_keeps_what_that_one_told(tuner, redis):
    ModelMirror(redis).write("id", 8, [])
    tuner.start(log(4))
    tuner.take([record(3, to={"rate": 1})])
    tuner.mirror()
    assert (tuner.position, redis.data.settings[1]) == (4, 8)


@pytest.mark.parametrize("found", [log(5, topic_id="another"), log(1)])
def test_a_topic_that_is_another_or_lost_records_is_read_from_its_start(tuner, redis, found):
    tuner.start(log(2))
    tuner.take([record(0, to={"rate": 1}), record(1, to={"rate": 2})])
    tuner.mirror()
    tuner.start(found)
    assert (tuner.seen, tuner.caught_up, list(tuner.tuning)) == (0, False, [])
