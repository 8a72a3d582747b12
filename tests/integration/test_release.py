"""release.lua and announced.lua: at most rate x time + burst, and the last value always shows."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest

from holdfast.operator_settings import Setting
from holdfast.settings_mirror import SettingsMirror
from holdfast.state import (
    HISTORY_LENGTH,
    OtherSettings,
    Owed,
    Partition,
    Paused,
    Released,
    State,
    Wait,
)
from holdfast.values import Rules
from tests.integration.folds import adds, sets

T0 = 1_764_000_000_000_000  # us: a moment in 2025
SECOND = 1_000_000


class Bench:
    """One partition whose values are changed and released at the times that a test says."""

    def __init__(self, state: State, partition: Partition) -> None:
        self.state = state
        self.partition = partition
        self.offset = 0

    def add(self, name: str = "counter", number: int = 1) -> None:
        self.state.apply(self.partition, 0, 0, [adds(name, self.offset, number)])
        self.offset += 1

    def set(self, name: str, value: object) -> None:
        self.state.apply(self.partition, 0, 0, [sets(name, self.offset, value)])
        self.offset += 1

    def release(self, rules: Rules, now: int | None = T0, **more: object):
        (result,) = self.state.release(self.partition, [rules], now_us=now, **more)
        return result

    def announce(self, name: str, version: int) -> None:
        self.state.announced(self.partition, [(name, version)])

    @property
    def dirty(self) -> list[str]:
        return sorted(self.state.dirty(self.partition))


@pytest.fixture
def bench(state, partition):
    return Bench(state, partition)


@pytest.fixture
def mirror(client):
    return SettingsMirror(client)


def setting(key: str, version: int) -> Setting:
    return Setting(key, version, "alice", 1_764_000_000_000, {"rate": 2})


COUNTER = Rules("counter", "sum", rate=1.0, burst=1)
PRICE = Rules("price.BTC", "latest", rate=10.0, burst=10, threshold=0.5, settle=10.0)


def test_a_release_promotes_the_working_value_with_all_that_a_snapshot_needs(bench):
    bench.add(number=42)
    result = bench.release(COUNTER)
    assert isinstance(result, Released)
    assert result.snapshot.encode() == (
        b'{"name":"counter","value":42,"version":1764000000000,"prev":0,'
        b'"released_at":"2025-11-24T16:00:00.000Z"}'
    )


def test_what_is_released_is_what_the_origin_sees(bench):
    bench.add(number=42)
    released = bench.release(COUNTER)
    bench.add(number=1)
    assert bench.state.view(COUNTER).snapshot == released.snapshot


def test_a_value_that_nothing_changed_is_not_released(bench):
    assert bench.release(COUNTER) is None


def test_a_value_that_changed_back_is_not_released_again(bench):
    bench.add(number=1)
    first = bench.release(COUNTER)
    bench.announce("counter", first.snapshot.version)
    bench.add(number=5)
    bench.add(number=-5)
    assert bench.release(COUNTER, T0 + 9 * SECOND) is None
    assert bench.dirty == []


@pytest.mark.parametrize(
    ("rules", "change"),
    [(COUNTER, lambda bench: bench.add()), (PRICE, lambda bench: bench.set("price.BTC", 1.5))],
)
def test_versions_are_milliseconds_and_chained(bench, rules, change):
    change(bench)
    first = bench.release(rules, T0 + 1_999).snapshot
    assert (first.version, first.prev) == (T0 // 1000 + 1, 0)
    bench.add() if rules is COUNTER else bench.set("price.BTC", 99)
    second = bench.release(rules, T0 + 5 * SECOND).snapshot
    assert (second.version, second.prev) == (T0 // 1000 + 5_000, first.version)


# -- the bucket


def test_a_bucket_starts_full_and_then_gives_a_release_per_interval(bench):
    rules = Rules("counter", "sum", rate=2.0, burst=3)
    for _ in range(3):
        bench.add()
        assert isinstance(bench.release(rules), Released)
    bench.add()
    assert bench.release(rules) == Wait(500)
    assert bench.release(rules, T0 + 400_000) == Wait(100)
    assert bench.release(rules, T0 + 499_999) == Wait(1)
    assert isinstance(bench.release(rules, T0 + 500_000), Released)


def test_a_wait_is_long_enough(bench):
    """A caller who comes back after `ms` is not sent away again."""
    for rate in (0.3, 0.7, 1.0, 3.0, 7.0, 30.0, 1000.0):
        rules = Rules(f"sum.{rate}", "sum", rate=rate)
        now = T0
        bench.add(rules.name)
        assert isinstance(bench.release(rules, now), Released)
        for _ in range(5):
            bench.add(rules.name)
            wait = bench.release(rules, now)
            assert isinstance(wait, Wait)
            now += wait.ms * 1000
            assert isinstance(bench.release(rules, now), Released)


def test_releases_never_exceed_rate_times_time_plus_burst(bench):
    """A caller who asks far too often, at instants that don't divide the rate."""
    rules = Rules("counter", "sum", rate=10.0, burst=4)
    released = 0
    step, steps = 3_700, 600
    for index in range(steps):
        bench.add()
        released += isinstance(bench.release(rules, T0 + index * step), Released)
    assert released == 4 + (steps - 1) * step * 10 // SECOND


def test_a_bucket_holds_no_more_than_its_burst(bench):
    rules = Rules("counter", "sum", rate=5.0, burst=2)
    bench.add()
    bench.release(rules)
    results = []
    for _ in range(3):
        bench.add()
        results.append(bench.release(rules, T0 + 3600 * SECOND))
    assert [type(result) for result in results] == [Released, Released, Wait]


# -- a change of rate and burst


def retuned(**knobs):
    return replace(COUNTER, **knobs)


def test_a_change_of_rate_counts_from_the_moment_it_is_made(bench):
    bench.add()
    bench.release(COUNTER)
    bench.add()
    assert bench.release(COUNTER, T0 + 500_000) == Wait(500)
    fast, slow = retuned(rate=10.0), retuned(rate=0.5)
    assert bench.release(fast, T0 + 500_000) == Wait(50)  # half a token is there
    assert bench.release(slow, T0 + 525_000) == Wait(500)  # three quarters of one
    assert isinstance(bench.release(slow, T0 + 1_025_000), Released)


def test_what_filled_by_the_old_rate_is_kept_also_when_nothing_was_to_be_released(bench):
    bench.add()
    version = bench.release(COUNTER).snapshot.version
    bench.announce("counter", version)
    assert bench.release(retuned(rate=0.1), T0 + 500_000) is None
    bench.add()
    assert bench.release(retuned(rate=0.1), T0 + 1_500_000) == Wait(4_000)  # 0.5 + 0.1


@pytest.mark.parametrize("idle_s", [0.1, 3600])
def test_no_change_of_rate_or_burst_lets_a_burst_through(bench, idle_s):
    """However often and however far: there is never more than what the bucket held."""
    bench.add()
    bench.release(COUNTER)
    now, released = T0 + int(idle_s * SECOND), 0
    for _ in range(50):
        for rules in (retuned(rate=1e6, burst=1000), retuned(rate=0.001), COUNTER):
            bench.add()
            released += isinstance(bench.release(rules, now), Released)
    assert released == (1 if idle_s >= 1 else 0)


def test_a_raised_burst_fills_up_from_what_was_there(bench):
    bench.add()
    bench.release(COUNTER)
    bench.add()
    assert isinstance(bench.release(retuned(burst=5), T0 + 10 * SECOND), Released)
    bench.add()
    assert bench.release(retuned(burst=5), T0 + 10 * SECOND) == Wait(1000)
    results = []
    for _ in range(6):
        bench.add()
        results.append(type(bench.release(retuned(burst=5), T0 + 20 * SECOND)))
    assert results == [Released] * 5 + [Wait]


def test_a_lowered_burst_takes_saved_tokens_away(bench):
    bench.add()
    bench.release(retuned(rate=0.001, burst=100))
    for expected in (Released, Wait):
        bench.add()
        assert isinstance(bench.release(retuned(rate=0.001)), expected)


def test_releases_fit_the_bucket_exactly_through_any_changes(bench):
    """Against a bucket that is worked out in whole numbers: microtokens per microsecond."""
    random = Random(8)
    tokens, burst, rate, now = 10**12, 1, 1, T0
    expected, made = 0, 0
    for _ in range(2000):
        step = random.choice([1_000, 10_000, 250_000, 1_000_000])
        now += step
        tokens = min(burst * 10**12, tokens + rate * step * 10**6)
        if random.random() < 0.05:
            rate, burst = random.choice([1, 2, 5, 10]), random.choice([1, 3])
            tokens = min(burst * 10**12, tokens)
        bench.add()
        made += isinstance(bench.release(retuned(rate=rate, burst=burst), now), Released)
        if tokens >= 10**12:
            tokens -= 10**12
            expected += 1
        assert made == expected
    assert made > 300


# -- a pause


def test_a_paused_value_takes_updates_and_releases_nothing(bench):
    bench.add()
    version = bench.release(COUNTER).snapshot.version
    bench.announce("counter", version)
    bench.add(number=4)
    assert bench.release(retuned(paused=True), T0 + 1000 * SECOND) == Paused()
    assert bench.state.view(COUNTER).snapshot.version == version
    assert bench.dirty == ["counter"]
    assert bench.release(COUNTER, T0 + 1000 * SECOND).snapshot.json == b"5"


def test_a_paused_value_s_bucket_fills_and_holds_no_more_than_its_burst(bench):
    bench.add()
    bench.release(COUNTER)
    bench.add()
    assert bench.release(retuned(paused=True), T0 + 400_000) == Paused()
    assert bench.release(COUNTER, T0 + 400_000) == Wait(600)
    assert bench.release(retuned(paused=True), T0 + 3600 * SECOND) == Paused()
    results = []
    for _ in range(2):
        results.append(type(bench.release(COUNTER, T0 + 3600 * SECOND)))
        bench.add()
    assert results == [Released, Wait]


def test_what_a_paused_value_still_owes_its_viewers_is_announced(bench):
    bench.add()
    version = bench.release(COUNTER).snapshot.version
    assert bench.release(retuned(paused=True), T0 + SECOND) == Owed(version)
    bench.announce("counter", version)
    assert bench.release(retuned(paused=True), T0 + SECOND) is None


# -- who has read which settings


@pytest.mark.parametrize("read", [2, 4])
def test_who_has_read_other_settings_than_redis_knows_releases_nothing(bench, mirror, read):
    bench.add()
    assert bench.release(COUNTER, settings=3) == OtherSettings(-1)
    mirror.write("id", 3, [])
    assert bench.release(COUNTER, settings=read) == OtherSettings(3)
    assert isinstance(bench.release(COUNTER, settings=3), Released)


def test_settings_that_redis_was_told_are_replaced_by_newer_ones_only(mirror):
    first, second = setting("value:counter", 3), setting("pause:counter", 5)
    assert mirror.write("id", 4, [first]) == 4
    assert mirror.write("id", 6, [second]) == 6
    assert mirror.write("id", 4, [first]) == 6
    assert (mirror.position(), list(mirror.read().tuning)) == (6, [second])
    # A topic that was created again begins anew.
    assert mirror.write("another", 1, [first]) == 1
    assert list(mirror.read().tuning) == [first]


def test_32_threads_with_one_token_make_exactly_one_release(shared_redis, bench):
    for number in range(6):
        rules = Rules(f"sum.{number}", "sum", rate=0.001)
        bench.add(rules.name)
        start = threading.Barrier(32)
        results = []

        def release(rules=rules, start=start, results=results):
            with shared_redis.connect() as client:
                state = State(client)
                start.wait()
                results.extend(state.release(bench.partition, [rules]))

        threads = [threading.Thread(target=release) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 32
        releases = [result for result in results if isinstance(result, Released)]
        assert len(releases) == 1
        assert all(
            result == Owed(releases[0].snapshot.version)
            for result in results
            if not isinstance(result, Released)
        )


def test_the_clock_is_that_of_redis(bench, client):
    bench.add()
    before, _ = client.time()
    version = bench.release(COUNTER, None).snapshot.version
    after, _ = client.time()
    assert before * 1000 <= version <= (after + 1) * 1000


# -- a clock that goes backwards


def test_a_clock_that_goes_back_makes_no_version_go_back(bench):
    rules = Rules("counter", "sum", rate=1.0, burst=5)
    versions = []
    for now in (T0, T0 - SECOND, T0 - 3600 * SECOND, T0 - 3600 * SECOND):
        bench.add()
        snapshot = bench.release(rules, now).snapshot
        assert snapshot.prev == (versions[-1] if versions else 0)
        versions.append(snapshot.version)
    assert versions == sorted(set(versions))


def test_a_clock_that_goes_back_earns_no_tokens(bench):
    bench.add()
    bench.release(COUNTER)
    bench.add()
    assert isinstance(bench.release(COUNTER, T0 - 3600 * SECOND), Wait)


def test_a_clock_that_goes_back_an_hour_does_not_silence_a_value_for_an_hour(bench):
    """The empty bucket fills by the new clock from the moment it is first looked at."""
    back = T0 - 3600 * SECOND
    bench.add()
    bench.release(COUNTER)
    bench.add()
    assert bench.release(COUNTER, back) == Wait(1000)
    assert bench.release(COUNTER, back + SECOND // 2) == Wait(500)
    assert isinstance(bench.release(COUNTER, back + SECOND), Released)


def test_a_clock_that_goes_back_an_hour_does_not_stretch_a_settle_by_an_hour(bench, client):
    bench.set("price.BTC", 100)
    bench.release(PRICE)
    bench.set("price.BTC", 100.1)
    client.hset("value:price.BTC", "changed_at", T0)
    back = T0 - 3600 * SECOND
    assert bench.release(PRICE, back) == Wait(10_000)
    assert bench.release(PRICE, back + 4 * SECOND) == Wait(6_000)
    assert isinstance(bench.release(PRICE, back + 10 * SECOND), Released)


# -- threshold and settle


def test_a_change_below_the_threshold_waits_for_its_settle(bench, client):
    bench.set("price.BTC", 100)
    first = bench.release(PRICE).snapshot
    bench.announce("price.BTC", first.version)
    bench.set("price.BTC", 100.4)
    client.hset("value:price.BTC", "changed_at", T0 + SECOND)
    assert bench.release(PRICE, T0 + 2 * SECOND) == Wait(9_000)
    assert bench.dirty == ["price.BTC"]
    assert bench.release(PRICE, T0 + 11 * SECOND - 1) == Wait(1)
    settled = bench.release(PRICE, T0 + 11 * SECOND)
    assert settled.snapshot.json == b"100.4"


def test_a_settle_is_counted_from_the_first_change_that_waits(bench, client):
    bench.set("price.BTC", 100)
    bench.release(PRICE)
    bench.set("price.BTC", 100.1)
    client.hset("value:price.BTC", "changed_at", T0)
    bench.set("price.BTC", 100.2)
    assert bench.release(PRICE, T0 + 9 * SECOND) == Wait(1_000)


@pytest.mark.parametrize("value", [100.5, 99.5, 150, "halted", None, {"bid": 1}])
def test_a_change_of_at_least_the_threshold_or_of_kind_is_released_at_once(bench, value):
    bench.set("price.BTC", 100)
    bench.release(PRICE)
    bench.set("price.BTC", value)
    assert isinstance(bench.release(PRICE, T0 + SECOND), Released)


def test_changes_add_up_to_the_threshold(bench):
    """It is measured against what was released, not against the last update."""
    bench.set("price.BTC", 100)
    bench.release(PRICE)
    for value, expected in ((100.2, Wait), (100.4, Wait), (100.6, Released)):
        bench.set("price.BTC", value)
        assert isinstance(bench.release(PRICE, T0 + SECOND), expected)


def test_a_first_value_is_released_whatever_the_threshold(bench):
    bench.set("price.BTC", 0.01)
    assert isinstance(bench.release(PRICE), Released)


def test_a_change_that_came_back_to_the_released_value_starts_its_settle_anew(bench, client):
    bench.set("price.BTC", 100)
    bench.release(PRICE)
    bench.set("price.BTC", 100.1)
    bench.set("price.BTC", 100)
    bench.release(PRICE, T0 + SECOND)
    assert not client.hexists("value:price.BTC", "changed_at")


# -- announced


def test_a_name_stays_dirty_until_its_release_is_announced(bench):
    bench.add()
    version = bench.release(COUNTER).snapshot.version
    assert bench.dirty == ["counter"]
    assert bench.release(COUNTER, T0 + SECOND) == Owed(version)
    bench.announce("counter", version)
    assert bench.dirty == []
    assert bench.release(COUNTER, T0 + SECOND) is None


def test_a_name_that_changed_meanwhile_stays_dirty_when_it_is_announced(bench):
    bench.add()
    version = bench.release(COUNTER).snapshot.version
    bench.add()
    bench.announce("counter", version)
    assert bench.dirty == ["counter"]


def test_announcing_an_older_version_leaves_the_newer_one_owed(bench):
    bench.add()
    older = bench.release(COUNTER).snapshot.version
    bench.add()
    newer = bench.release(COUNTER, T0 + SECOND).snapshot.version
    bench.announce("counter", older)
    assert bench.release(COUNTER, T0 + 2 * SECOND) == Owed(newer)
    bench.announce("counter", newer)
    bench.announce("counter", older)
    assert bench.release(COUNTER, T0 + 2 * SECOND) is None


def test_announcing_a_version_that_redis_lost_is_not_noted(bench, client):
    bench.announce("counter", 99)
    assert not client.exists("value:counter")
    bench.add()
    version = bench.release(COUNTER).snapshot.version
    bench.announce("counter", version + 1)
    assert bench.release(COUNTER, T0 + SECOND) == Owed(version)


def test_a_name_that_is_dirty_for_nothing_leaves_the_set(bench, client):
    client.sadd("dirty:updates:0", "counter")
    assert bench.release(COUNTER) is None
    assert bench.dirty == []


# -- what was released, and the history


def test_every_value_that_a_partition_released_is_listed_for_its_next_owner(bench):
    bench.add("visits")
    bench.add("counter")
    visits = bench.release(Rules("visits", "sum")).snapshot
    counter = bench.release(COUNTER, T0 + SECOND).snapshot
    assert bench.state.released(bench.partition) == [
        ("visits", visits.version, T0 // 1000),
        ("counter", counter.version, T0 // 1000 + 1000),
    ]
    assert bench.state.released(Partition("updates", 1)) == []


def test_the_history_keeps_the_last_60_releases_oldest_first(bench):
    rules = Rules("counter", "sum", rate=1000.0)
    for index in range(HISTORY_LENGTH + 5):
        bench.add()
        bench.release(rules, T0 + index * SECOND)
    history = bench.state.view(rules, history=True).history
    assert [snapshot.json for snapshot in history] == [b"%d" % number for number in range(6, 66)]
    assert all(later.prev == earlier.version for earlier, later in pairwise(history))
    assert history[-1] == bench.state.view(rules).snapshot
    assert HISTORY_LENGTH == 60


def test_a_history_keeps_values_with_spaces_and_line_ends(bench):
    rules = Rules("headline", "latest")
    bench.set("headline", "two words\r\n and \u2028 more")
    snapshot = bench.release(rules).snapshot
    assert bench.state.view(rules, history=True).history == (snapshot,)


# -- SCRIPT FLUSH


def test_release_announce_and_view_survive_a_script_flush_between_calls(bench, client):
    bench.add()
    client.script_flush()
    version = bench.release(COUNTER).snapshot.version
    client.script_flush()
    bench.announce("counter", version)
    client.script_flush()
    assert bench.state.view(COUNTER).snapshot.version == version
    assert bench.dirty == []
