"""The publisher's loop on a real Redis: what it reads, releases, confirms, and when it sleeps."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from holdfast.config import Settings
from holdfast.errors import UnavailableError
from holdfast.state import Partition
from holdfast.values import parse
from publisher import metrics
from publisher.push import Publication
from tests.integration.fake_kafka import FakeLog
from tests.integration.publisher_bench import Clock, PublisherBench, roll_back, save

PARTITION = Partition("updates", 0)
PLACE = ("updates", 0)
SLOW = """
[defaults]
rate = 0.001
[values.counter]
reduce = "sum"
default = true
[values.visits]
reduce = "sum"
[values."price.*"]
topic = "ticks"
reduce = "latest"
field = "price"
"""


@pytest.fixture
def log():
    return FakeLog({PLACE: []})


def add(log, number=1, name=b"counter"):
    return log.append(*PLACE, name, b'{"add":%d}' % number)


def released(bench):
    return [(name, json) for name, _, json in bench.releases]


@pytest.fixture
def bench(client, log):
    return PublisherBench(client, log)


def test_a_batch_is_applied_released_and_announced(client, log, bench):
    add(log, 2)
    add(log, 3)
    bench.settle(PARTITION)
    assert released(bench) == [("counter", b"5")]
    assert bench.state.view(bench.values.default).snapshot.json == b"5"
    assert bench.state.known(PARTITION).offset == 2


def test_updates_that_come_while_a_value_waits_for_its_token_make_one_release(client, log):
    bench = PublisherBench(client, log, values=parse(SLOW))
    for _ in range(5):
        add(log)
        bench.steps(3)
    assert released(bench) == [("counter", b"1")]
    client.hset("bucket:counter", "tokens", 1)
    bench.steps(3, seconds=1.0)
    assert released(bench) == [("counter", b"1"), ("counter", b"5")]


def test_a_value_is_not_released_while_its_last_release_waits_to_be_announced(log, bench):
    # The announcer would skip the one that waits, and every viewer recover from the gap.
    bench.announcer.waiting.add("counter")
    add(log)
    add(log, name=b"visits")
    bench.settle_until(lambda: released(bench) == [("visits", b"1")])
    add(log)
    bench.steps(5)
    assert released(bench) == [("visits", b"1")]
    bench.announcer.waiting.clear()
    bench.settle(PARTITION)
    assert released(bench) == [("visits", b"1"), ("counter", b"2")]


def test_a_rate_that_an_operator_raises_counts_within_a_second(client, log):
    bench = PublisherBench(client, log, values=parse(SLOW))
    add(log)
    bench.steps(3)
    add(log)
    bench.steps(3)
    assert len(released(bench)) == 1
    client.hset("bucket:counter", "rate", 1e6)
    bench.steps(2, seconds=0.55)
    assert len(released(bench)) == 2


# -- start and takeover


def test_nothing_is_released_before_the_replay_has_passed_the_end_seen_at_the_start(client, log):
    for _ in range(10):
        add(log)
    bench = PublisherBench(client, log)
    while (bench.state.known(PARTITION).offset or 0) < 10:
        assert released(bench) == []
        assert not bench.state.view(bench.values.default).ready
        bench.step(most=3, seconds=2.0)
    bench.settle(PARTITION)
    assert released(bench) == [("counter", b"10")]
    assert bench.state.view(bench.values.default).ready


def test_records_that_redis_knows_are_not_read_again(client, log, bench):
    add(log)
    bench.settle(PARTITION)
    records = metrics.RECORDS.labels("updates")._value.get()
    other = PublisherBench(client, log)
    add(log)
    other.settle(PARTITION)
    assert metrics.RECORDS.labels("updates")._value.get() == records + 1


def test_a_new_owner_finishes_what_the_former_one_applied(client, log, bench):
    bench.steps(3)
    add(log)
    bench.state.fault = ("release", 0)
    bench.step()
    assert bench.state.dirty(PARTITION) == ["counter"]
    other = PublisherBench(client, log)
    other.settle(PARTITION)
    assert released(other) == [("counter", b"1")]


def test_a_new_owner_confirms_and_never_repeats_what_the_former_one_may_have_sent(
    client, log, bench
):
    bench.steps(3)
    add(log)
    bench.announcer.silent = True
    bench.steps(2)
    ((_, version, _),) = bench.releases
    other = PublisherBench(client, log)
    other.settle(PARTITION)
    (owed,) = other.announcer.announcements
    assert (owed.version, owed.snapshot) == (version, None)
    assert owed.publication() == Publication.confirm("counter", version, text=True)


def test_a_new_owner_purges_what_was_released_within_the_edges_max_age(client, log, bench):
    add(log)
    add(log, name=b"visits")
    bench.settle(PARTITION)
    client.zadd("released:updates:0", {"visits": 1})  # ms: long ago
    other = PublisherBench(client, log)
    other.settle(PARTITION)
    assert [name for name, _ in other.announcer.purged] == ["counter"]


def test_a_publisher_that_lost_a_partition_leaves_its_values_alone(client, log, bench):
    add(log)
    bench.settle(PARTITION)
    bench.consumer.group_assigns()
    bench.step()
    add(log)
    bench.steps(30, seconds=1.0)
    assert released(bench) == [("counter", b"1")]
    assert bench.announcer.confirms == []


def test_a_rebalance_leaves_a_kept_partition_as_it_was(client, log, bench):
    add(log)
    bench.settle(PARTITION)
    bench.consumer.group_assigns(PLACE)
    add(log)
    bench.settle(PARTITION)
    assert released(bench) == [("counter", b"1"), ("counter", b"2")]


# -- what befalls Redis


def test_a_value_is_released_although_redis_went_away_right_after_its_batch(client, log, bench):
    """The batch is applied and never read again: only `dirty` tells of it."""
    bench.steps(3)
    add(log)
    bench.state.fault = ("advance", 1)
    bench.step()
    assert bench.failures == 1
    bench.settle(PARTITION)
    assert released(bench) == [("counter", b"1")]


def test_the_group_hears_of_a_publisher_whose_redis_is_away_and_it_loses_nothing(
    log, bench, monkeypatch
):
    """Or it would be put out after max.poll.interval.ms, and the next one likewise."""
    bench.steps(3)

    def away(partition: Partition) -> None:
        raise UnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(bench.state, "known", away)
        bench.state.fault = ("advance", 0)
        add(log)
        bench.step()
        polls = len(bench.consumer.pauses)
        bench.steps(5)
        assert len(bench.consumer.pauses) == polls + 5
        assert bench.failures == 6
    bench.settle(PARTITION)
    assert released(bench) == [("counter", b"1")]


def test_a_release_whose_answer_was_lost_is_announced_by_a_confirm(client, log, bench):
    bench.steps(3)
    add(log)
    bench.state.fault = ("release", 1)
    bench.step()
    bench.settle(PARTITION)
    (owed,) = bench.announcer.announcements
    assert owed.snapshot is None
    assert owed.version == bench.state.view(bench.values.default).snapshot.version


def test_an_announcement_that_was_not_noted_is_confirmed_later(client, log, bench):
    bench.announcer.silent = True
    add(log)
    bench.steps(3)
    bench.announcer.silent = False
    bench.settle(PARTITION)
    first, second = bench.announcer.announcements
    assert (second.version, second.snapshot) == (first.version, None)


@pytest.mark.parametrize("phase", range(0, 12))
def test_nothing_is_released_from_a_redis_that_was_rolled_back_before_it_is_replayed(
    client, log, phase
):
    """Not even in the moment before a heartbeat notices: viewers would see the value go back."""
    bench = PublisherBench(client, log, values=parse(SLOW))
    bench.steps(3)
    add(log, 3)
    bench.state.fault = ("release", 0)
    bench.step()
    saved = save(client)
    add(log, 4)
    bench.settle_until(lambda: released(bench) == [("counter", b"7")])
    add(log, 5)
    bench.steps(3 + phase, seconds=0.09)
    roll_back(client, saved)
    bench.steps(15, seconds=0.09)
    bench.settle_until(lambda: len(released(bench)) > 1)
    assert released(bench) == [("counter", b"7"), ("counter", b"12")]


@pytest.fixture
def rolled_back(own_redis, log):
    """Redis lost a release and its announcement, but no update: its offset is as before."""
    with own_redis.connect() as client:
        bench = PublisherBench(client, log)
        add(log)
        bench.settle(PARTITION)
        add(log)
        bench.state.fault = ("release", 0)
        bench.step()
        mark = own_redis.mark()
        bench.settle(PARTITION)
        newest = bench.state.view(bench.values.default).snapshot
        assert newest.json == b"2"
        own_redis.roll_back(mark)
        yield bench, newest


def test_a_redis_that_lost_only_a_release_makes_it_again(rolled_back):
    bench, newest = rolled_back
    bench.settle(PARTITION)
    again = bench.state.view(bench.values.default).snapshot
    assert (again.json, again.version > newest.version) == (b"2", True)


def test_a_redis_that_lost_only_a_release_is_not_trusted_before_it_is_made_again(rolled_back):
    bench, newest = rolled_back
    for _ in range(40):
        view = bench.state.view(bench.values.default)
        assert not view.ready or view.snapshot.version > newest.version
        bench.step(seconds=0.1)
    assert view.ready


def test_versions_never_go_back_when_redis_is_wiped_also_not_at_a_sum_of_0(client, log, bench):
    add(log, 1)
    bench.settle(PARTITION)
    add(log, -1)
    bench.settle(PARTITION)
    before = bench.state.view(bench.values.default).snapshot
    client.flushall()
    bench.settle(PARTITION)
    after = bench.state.view(bench.values.default).snapshot
    assert (after.json, after.version > before.version) == (b"0", True)


def test_a_rewind_is_counted(client, log, bench):
    add(log)
    bench.settle(PARTITION)
    rewinds = metrics.REWINDS.labels("updates")._value.get()
    client.flushall()
    bench.settle(PARTITION)
    assert metrics.REWINDS.labels("updates")._value.get() == rewinds + 1


# -- a log that doesn't belong to Redis


@pytest.fixture
def two(client):
    """Partitions 0 and 1, of which 0 begins at offset 2."""
    log = FakeLog({PLACE: [], ("updates", 1): []})
    for _ in range(4):
        log.append(*PLACE, b"counter", b'{"add":1}')
        log.append("updates", 1, b"visits", b'{"add":1}')
    log.low[PLACE] = 2
    return PublisherBench(client, log, places=[PLACE, ("updates", 1)])


def test_a_partition_without_its_past_is_refused_and_blocks_no_other(client, two):
    two.steps(30, seconds=0.5)
    assert released(two) == [("visits", b"4")]
    assert two.state.known(PARTITION).offset is None
    assert metrics.REFUSED._value.get() == 1
    assert not two.state.view(two.values.default).ready


def test_a_refused_partition_is_tried_again_and_taken_once_an_operator_accepts_the_log(client, two):
    two.steps(10, seconds=0.5)
    two.state.accept_log(PARTITION, 2, "first")
    two.steps(20, seconds=0.5)
    assert sorted(released(two)) == [("counter", b"2"), ("visits", b"4")]
    assert metrics.REFUSED._value.get() == 0
    assert two.state.view(two.values.default).ready


def test_a_topic_that_was_re_created_is_refused(client, log):
    client.set("offset:updates:0", 5)
    add(log)
    bench = PublisherBench(client, log)
    bench.steps(10, seconds=0.5)
    assert bench.state.known(PARTITION).offset == 5
    assert metrics.REFUSED._value.get() == 1


def test_a_re_created_topic_that_was_accepted_counts_from_its_first_record(client, log):
    add(log, 10)
    add(log, 10)
    PublisherBench(client, log).settle(PARTITION)
    log.re_create(PLACE)
    add(log, 1)
    bench = PublisherBench(client, log)
    bench.steps(10, seconds=0.5)
    assert metrics.REFUSED._value.get() == 1
    bench.state.accept_log(PARTITION, 0, log.topic_id)
    bench.settle(PARTITION)
    assert bench.state.view(bench.values.default).snapshot.json == b"21"


def test_a_re_created_topic_is_refused_though_it_is_longer_than_the_old_one(client, log):
    add(log)
    PublisherBench(client, log).settle(PARTITION)
    log.re_create(PLACE)
    for _ in range(5):
        add(log)
    bench = PublisherBench(client, log)
    bench.steps(10, seconds=0.5)
    assert metrics.REFUSED._value.get() == 1
    assert bench.state.known(PARTITION).offset == 1


def test_a_topic_that_is_re_created_while_it_is_read_is_noticed_and_refused(log, bench):
    add(log)
    bench.settle(PARTITION)
    log.re_create(PLACE)
    bench.steps(3, seconds=1.0)
    assert metrics.REFUSED._value.get() == 1
    for _ in range(5):
        add(log)
    bench.steps(5, seconds=1.0)
    assert released(bench) == [("counter", b"1")]


def test_a_roll_back_that_ends_at_an_old_value_is_released_above_what_was_shown(client, log, bench):
    def headline(value):
        log.append(*PLACE, b"headline", b'{"set":%d}' % value)

    headline(3)
    bench.settle(PARTITION)
    saved = save(client)
    headline(5)
    bench.settle(PARTITION)
    headline(3)
    roll_back(client, saved)
    bench.settle(PARTITION)
    shown = [(json, version) for name, version, json in bench.releases if name == "headline"]
    assert [json for json, _ in shown] == [b"3", b"5", b"3"]
    versions = [version for _, version in shown]
    assert versions == sorted(set(versions))


# -- malformed records


def test_malformed_records_are_copied_with_the_reason_and_do_not_stop_the_others(log, bench):
    add(log)
    log.append(*PLACE, b"counter", b'{"add":"1"}')
    log.append(*PLACE, b"nobody", b'{"add":1}')
    add(log)
    bench.settle(PARTITION)
    assert released(bench) == [("counter", b"2")]
    assert bench.producer.records == [
        (
            "updates.rejected",
            {"reason": b"add must be an integer", "partition": b"0", "offset": b"1"},
        ),
        (
            "updates.rejected",
            {"reason": b"no value has this name", "partition": b"0", "offset": b"2"},
        ),
    ]


def test_a_sum_that_leaves_64_bits_is_set_aside_and_the_others_count(log, bench):
    for number in (2**63 - 1, 1, -5, 3):
        add(log, number)
    bench.settle(PARTITION)
    assert released(bench)[-1] == ("counter", b"%d" % (2**63 - 1 - 5 + 3))
    assert bench.producer.offsets == [1]


def test_the_offset_waits_for_the_copies_of_malformed_records(log, bench):
    bench.steps(3)
    bench.producer.refuses = True
    add(log)
    log.append(*PLACE, b"counter", b"{")
    bench.steps(5)
    assert bench.failures > 0
    assert bench.state.known(PARTITION).offset in (None, 0)
    bench.producer.refuses = False
    bench.settle(PARTITION)
    assert released(bench) == [("counter", b"1")]
    assert bench.state.known(PARTITION).offset == 2


def test_a_copy_that_is_too_large_for_kafka_is_made_without_the_value(log, bench):
    bench.producer.largest = 100
    log.append(*PLACE, b"counter", b"x" * 101)
    log.append(*PLACE, b"counter", b"{")
    add(log)
    bench.settle(PARTITION)
    assert released(bench) == [("counter", b"1")]
    assert sorted(bench.producer.offsets) == [0, 1]
    (headers,) = [headers for _, headers in bench.producer.records if "size" in headers]
    assert (headers["offset"], headers["size"]) == (b"0", b"108")


def test_a_producer_that_breaks_loses_nothing_of_what_was_read_with_the_bad_record(client):
    log = FakeLog({PLACE: [], ("updates", 1): []})
    bench = PublisherBench(client, log, places=[PLACE, ("updates", 1)])
    bench.steps(3)
    bench.producer.breaks = KafkaError(KafkaError._FATAL)
    log.append(*PLACE, b"counter", b"{")
    add(log)
    log.append("updates", 1, b"visits", b'{"add":5}')
    bench.settle(PARTITION)
    bench.settle(Partition("updates", 1))
    assert sorted(released(bench)) == [("counter", b"1"), ("visits", b"5")]
    assert bench.producer.offsets == [0]


def test_a_consumer_that_breaks_loses_nothing_of_what_was_read_so_far(log, bench):
    bench.steps(3)
    add(log)
    bench.consumer.breaks = KafkaError(KafkaError._FATAL)
    with pytest.raises(KafkaException):
        bench.step()
    add(log)
    bench.settle(PARTITION)
    assert released(bench) == [("counter", b"2")]


# -- foreign topics


def test_a_foreign_topic_feeds_a_family_and_its_other_records_are_ignored(client):
    log = FakeLog({PLACE: [], ("ticks", 0): []})
    log.append("ticks", 0, b"BTC", b'{"price": 1.5, "volume": 3}')
    log.append("ticks", 0, b"not a name", b'{"price": 1}')
    log.append("ticks", 0, b"ETH", b'{"volume": 3}')
    bench = PublisherBench(client, log, places=[PLACE, ("ticks", 0)], values=parse(SLOW))
    bench.settle(Partition("ticks", 0))
    assert released(bench) == [("price.BTC", b"1.5")]
    assert bench.producer.records == [
        (
            "ticks.rejected",
            {"reason": b"the record has no field price", "partition": b"0", "offset": b"2"},
        )
    ]


# -- confirms, repeated purges, sleep


def test_a_release_is_confirmed_at_3_6_20_and_then_at_doubling_ages(client, log):
    clock = Clock()
    bench = PublisherBench(client, log, clock=clock)
    bench.steps(3)
    add(log)
    bench.step()
    released_at, ages = clock.now, []
    while clock.now < released_at + 200:
        sent = len(bench.announcer.confirms)
        bench.step(seconds=0.25)
        if len(bench.announcer.confirms) > sent:
            ages.append(round(clock.now - released_at))
    assert ages == [3, 6, 20, 40, 80, 160]
    ((_, version, _),) = bench.releases
    assert {confirm.version for confirm in bench.announcer.confirms} == {version}
    assert all(confirm.text for confirm in bench.announcer.confirms)


def test_with_repurge_after_a_release_is_purged_once_more(client, log):
    clock = Clock()
    bench = PublisherBench(client, log, settings=Settings(repurge_after=2.0), clock=clock)
    bench.steps(3)
    add(log)
    bench.step()
    bench.step(seconds=1.9)
    assert bench.announcer.purged == []
    bench.steps(5, seconds=0.2)
    assert [name for name, _ in bench.announcer.purged] == ["counter"]


def test_an_idle_publisher_sleeps_until_its_next_heartbeat(client, log, bench):
    add(log)
    bench.settle(PARTITION)
    bench.consumer.pauses.clear()
    bench.steps(5, seconds=1.0)
    # Kafka's poll is what it sleeps in; 1 s is the time between heartbeats.
    assert bench.consumer.pauses[1:] == [pytest.approx(0.0, abs=0.01)] * 4


def test_only_the_owner_of_the_first_home_partition_leads(client, log, bench):
    assert not bench.publisher.leads
    bench.steps(2)
    assert bench.publisher.leads
    bench.consumer.group_assigns()
    bench.step()
    assert not bench.publisher.leads
