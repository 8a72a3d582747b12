"""What operators set, on the publisher's loop and a real Redis: when it counts, and for whom."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from holdfast.config import Settings
from holdfast.errors import KafkaUnavailableError
from holdfast.operator_settings import Change
from holdfast.settings_mirror import SettingsMirror
from holdfast.state import Partition
from holdfast.values import parse
from publisher import metrics
from tests.integration.fake_kafka import SETTINGS, FakeLog
from tests.integration.publisher_bench import Clock, PublisherBench

PARTITION = Partition("updates", 0)
PLACE = ("updates", 0)
NOW_MS = 1_764_000_000_000
SLOW = parse("""
[defaults]
rate = 0.001
[values.counter]
reduce = "sum"
default = true
[values.visits]
reduce = "sum"
[values."sum.*"]
reduce = "sum"
""")


class Wall:
    """ms since 1970, in s."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> float:
        return self.ms / 1000


@pytest.fixture
def log():
    return FakeLog({PLACE: []})


@pytest.fixture
def bench(client, log):
    return PublisherBench(client, log, values=SLOW)


def add(log, name=b"counter", number=1):
    log.append(*PLACE, name, b'{"add":%d}' % number)


def operate(log, key, to, at_ms=NOW_MS):
    value = None if to is None else Change(key, "alice", at_ms, None, to).encode()
    log.append(*SETTINGS, key.encode(), value)


def released(bench):
    return [(name, json) for name, _, json in bench.releases]


def token(client, name="counter"):
    client.hset(f"bucket:{name}", "tokens", 1)


def test_a_rate_counts_from_the_turn_in_which_it_is_read(log, bench):
    add(log)
    bench.steps(3)
    add(log)
    bench.steps(3)
    assert released(bench) == [("counter", b"1")]
    operate(log, "value:counter", {"rate": 1e6})
    bench.steps(2, seconds=0.001)
    assert released(bench) == [("counter", b"1"), ("counter", b"2")]


@pytest.mark.parametrize("key", ["default", "family:sum.*"])
def test_a_rate_for_many_counts_for_each(log, bench, key):
    for _ in range(2):
        add(log, b"sum.a")
        add(log, b"sum.b")
        bench.steps(3)
    operate(log, key, {"rate": 1e6})
    bench.steps(2, seconds=0.001)
    assert sorted(released(bench)) == [
        ("sum.a", b"1"),
        ("sum.a", b"2"),
        ("sum.b", b"1"),
        ("sum.b", b"2"),
    ]


def test_a_bucket_fills_by_the_new_rate_from_then_on_also_with_nothing_to_release(
    client, log, bench
):
    add(log)
    bench.settle(PARTITION)
    operate(log, "value:counter", {"rate": 0.25, "burst": 3})
    bench.steps(2)
    assert client.hmget("bucket:counter", "rate", "burst") == [b"0.25", b"3"]
    operate(log, "value:counter", None)
    bench.steps(2)
    assert client.hmget("bucket:counter", "rate", "burst") == [b"0.001", b"1"]


def test_a_pause_stops_releases_and_its_end_releases_the_newest_at_once(client, log, bench):
    add(log)
    bench.steps(3)
    operate(log, "pause:counter", {})
    bench.steps(2)
    for _ in range(3):
        add(log)
    token(client)
    bench.steps(30, seconds=1.0)
    assert released(bench) == [("counter", b"1")]
    assert client.hget("value:counter", "value") == b"4"
    operate(log, "pause:counter", None)
    bench.steps(2, seconds=0.001)
    assert released(bench) == [("counter", b"1"), ("counter", b"4")]


def test_a_paused_value_costs_no_calls(log, bench):
    operate(log, "pause:counter", {})
    add(log)
    bench.steps(5)
    assert bench.publisher._releaser._pending.next() is None


# -- start and takeover


def test_a_new_owner_releases_nothing_before_it_has_read_all_settings(log, client):
    """It reads the value's updates first, and its settings record by record."""
    for n in range(5):
        operate(log, f"value:other.{n}", {"rate": 5})
    operate(log, "pause:counter", {})
    add(log)
    bench = PublisherBench(client, log, values=SLOW)
    for _ in range(20):
        bench.step(most=1)
        assert released(bench) == []
    assert bench.publisher.caught_up(PARTITION)
    assert SettingsMirror(client).read().position == 6
    add(log)
    bench.steps(20, seconds=1.0)
    assert released(bench) == []


def test_a_publisher_that_lags_behind_another_s_settings_releases_nothing(log, client):
    """From the moment that Redis is told, whoever tells it."""
    other = PublisherBench(client, log, places=(("updates", 1),), values=SLOW)
    log.partitions["updates", 1] = []
    bench = PublisherBench(client, log, values=SLOW)
    bench.steps(3)
    other.steps(3)
    operate(log, "pause:counter", {})
    hidden = log.partitions[SETTINGS].pop()
    log.partitions[SETTINGS].append(hidden)
    other.steps(2)
    log.partitions[SETTINGS].remove(hidden)  # it has not come to `bench` yet
    add(log)
    bench.steps(50, seconds=0.1)
    assert released(bench) == []
    log.partitions[SETTINGS].append(hidden)
    bench.steps(5)
    operate(log, "pause:counter", None)
    bench.settle(PARTITION)
    assert released(bench) == [("counter", b"1")]


def test_settings_survive_a_wipe_of_redis(client, log, bench):
    operate(log, "value:counter", {"rate": 5})
    operate(log, "pause:visits", {})
    add(log)
    bench.settle(PARTITION)
    client.flushall()
    bench.steps(30, seconds=0.1)
    assert {each.key for each in SettingsMirror(client).read().tuning} == {
        "value:counter",
        "pause:visits",
    }
    add(log, b"visits")
    bench.steps(30, seconds=0.1)
    assert {name for name, _ in released(bench)} == {"counter"}


def test_a_wiped_redis_is_told_of_the_settings_also_when_nothing_is_released(client, log, bench):
    operate(log, "default", {"rate": 5})
    bench.steps(3)
    client.delete("settings")
    bench.steps(4, seconds=0.6)
    assert SettingsMirror(client).read().tuning.get("default").to == {"rate": 5}


def test_without_settings_updates_are_applied_and_nothing_is_released(
    client, log, bench, monkeypatch
):
    look = bench.publisher._logs.look

    def away(partitions):
        partitions = list(partitions)
        if Partition(*SETTINGS) in partitions:
            raise KafkaUnavailableError("no such topic")
        return look(partitions)

    with monkeypatch.context() as patch:
        patch.setattr(bench.publisher._logs, "look", away)
        add(log)
        bench.steps(20, seconds=0.5)
        assert client.hget("value:counter", "value") == b"1"
        assert released(bench) == []
    bench.settle(PARTITION)
    assert released(bench) == [("counter", b"1")]


def test_settings_that_can_t_be_read_for_a_while_are_read_on_from_there(log, bench):
    bench.steps(3)
    bench.consumer.refused[SETTINGS] = KafkaError(KafkaError._TRANSPORT)
    operate(log, "value:counter", {"rate": 1e6})
    bench.steps(3, seconds=0.4)
    del bench.consumer.refused[SETTINGS]
    add(log)
    bench.settle(PARTITION)
    add(log)
    bench.steps(2)
    assert released(bench) == [("counter", b"1"), ("counter", b"2")]


def test_a_record_that_is_malformed_stops_nobody(log, bench):
    before = metrics.REJECTED.labels("settings")._value.get()
    log.append(*SETTINGS, b"value:counter", b"{")
    log.append(*SETTINGS, None, b"\xff")
    add(log)
    bench.settle(PARTITION)
    assert released(bench) == [("counter", b"1")]
    assert metrics.REJECTED.labels("settings")._value.get() == before + 2


# -- purge now


@pytest.fixture
def walled(client, log):
    """A publisher whose wall clock is the test's."""

    def make():
        bench = PublisherBench(client, log, values=SLOW, clock=clock)
        bench.publisher._wall = wall
        return bench

    clock, wall = Clock(), Wall()
    make.wall = wall
    return make


def confirmed(bench):
    return [
        (item.name, item.version) for item in bench.announcer.announcements if not item.snapshot
    ]


def test_a_purge_is_made_once_and_confirms_the_newest_version(log, walled):
    bench = walled()
    add(log)
    bench.settle(PARTITION)
    ((_, version, _),) = bench.releases
    operate(log, "purge:counter", {})
    bench.steps(5)
    assert confirmed(bench) == [("counter", version)]


def test_a_value_of_another_publisher_is_not_purged_here(log, walled):
    bench = walled()
    bench.settle(PARTITION)
    operate(log, "purge:counter", {})
    bench.steps(5)
    assert confirmed(bench) == []


@pytest.mark.parametrize(("age_s", "purges"), [(100, 1), (301, 0)])
def test_a_new_owner_makes_the_purge_that_the_former_one_may_not_have_made(
    log, walled, age_s, purges
):
    """Unless all edges have asked again by themselves since."""
    first = walled()
    add(log)
    first.settle(PARTITION)
    first.consumer.group_assigns()
    first.step()
    operate(log, "purge:counter", {})
    walled.wall.ms += age_s * 1000
    other = walled()
    other.settle(PARTITION)
    assert len(confirmed(other)) == purges


# -- the budget


def test_the_budget_that_the_environment_sets_holds_until_an_operator_sets_another(client, log):
    bench = PublisherBench(client, log, settings=Settings(budget_per_second=1))
    for n in range(3):
        add(log, b"counter" if n else b"visits")
    bench.steps(5, seconds=0.01)
    assert len(released(bench)) == 1
    operate(log, "budget", {"per_second": None})
    bench.steps(2, seconds=0.001)
    assert len(released(bench)) == 2


def test_purges_at_a_takeover_are_paid(client, log):
    settings = Settings(budget_per_second=100)
    bench = PublisherBench(client, log, settings=settings)
    add(log)
    add(log, b"visits")
    bench.settle(PARTITION)
    client.delete("budget:second")
    other = PublisherBench(client, log, settings=settings)
    other.steps(3)
    assert len(other.announcer.purged) == 2
    assert float(client.hget("budget:second", "tokens")) == 8  # of a burst of 10
