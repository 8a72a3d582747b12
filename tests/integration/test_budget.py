"""budget.lua and spend.lua: never more than the budget, and everyone in turn."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from holdfast.budget import Budget
from holdfast.state import Partition, Released, State, Wait
from holdfast.values import Rules
from tests.integration.folds import adds

T0 = 1_764_000_000_000_000  # us: a moment in 2025
SECOND = 1_000_000
ONE = Budget(per_second=1.0)


class Bench:
    def __init__(self, client, number: int = 0) -> None:
        self.state = State(client)
        self.partition = Partition("updates", number)
        self.offset = 0

    def ask(
        self, name: str, now: int, budget: Budget = ONE, *, rate: float = 1.0, add: bool = True
    ):
        """Change a value, and ask whether it may be released."""
        if add:
            self.state.apply(self.partition, 0, 0, [adds(name, self.offset, 1)])
            self.offset += 1
        rules = Rules(name, "sum", rate=rate)
        (result,) = self.state.release(self.partition, [rules], budget=budget, now_us=now)
        return result


@pytest.fixture
def bench(client):
    return Bench(client)


@pytest.mark.parametrize(
    ("keys", "bucket"),
    [(0, (0, 1)), (0.5, (0.5, 1)), (1, (1, 1)), (20, (19, 2)), (1000, (901, 100))],
)
def test_no_second_holds_more_than_its_keys(keys, bucket):
    """A bucket gives its burst, and then its rate: together at most what was asked for."""
    rate, burst = Budget(per_second=keys).second
    assert (rate, burst) == bucket
    assert not keys or burst - 1 + rate == keys


def test_no_hour_holds_more_than_its_keys():
    rate, burst = Budget(per_hour=100_000).hour
    assert (burst, burst - 1 + 3600 * rate) == (10_000, pytest.approx(100_000))


def test_the_budget_bounds_all_values_together(bench):
    budget = Budget(per_second=30)
    results = [type(bench.ask(f"sum.{n}", T0, budget)) for n in range(5)]
    assert results == [Released] * 3 + [Wait] * 2


def test_the_tighter_of_the_two_windows_decides(bench):
    budget = Budget(per_second=30, per_hour=36)  # 3 at once and then 28/s; 3 at once, 0.0094/s
    for _ in range(3):
        assert isinstance(bench.ask(f"sum.{_}", T0, budget), Released)
    assert bench.ask("sum.3", T0 + 10 * SECOND, budget) == Wait(1000)
    assert isinstance(bench.ask("sum.3", T0 + 107 * SECOND, budget), Released)


def test_without_a_budget_nobody_waits(bench, client):
    for n in range(50):
        assert isinstance(bench.ask(f"sum.{n}", T0, Budget()), Released)
    assert client.keys("budget*") == []


def test_a_value_that_waits_for_the_budget_keeps_its_own_token(bench, client):
    bench.ask("visits", T0, Budget(per_second=0.5))
    assert bench.ask("counter", T0, Budget(per_second=0.5)) == Wait(1000)
    assert not client.exists("bucket:counter")
    assert isinstance(bench.ask("counter", T0 + 2 * SECOND, Budget(per_second=0.5)), Released)


def test_a_value_that_waits_for_its_own_token_leaves_the_budget_alone(bench, client):
    bench.ask("counter", T0, Budget(per_second=100))
    before = client.hgetall("budget:second")
    assert bench.ask("counter", T0, Budget(per_second=100)) == Wait(1000)
    assert client.hgetall("budget:second") == before
    assert not client.exists("budget:queue")


def test_who_came_first_goes_first_however_often_the_others_ask(bench):
    bench.ask("sum.0", T0)
    assert bench.ask("sum.1", T0 + 1) == Wait(1000)
    assert bench.ask("sum.2", T0 + 2) == Wait(1000)
    for at in (900_000, 1_000_000, 1_000_100):
        assert isinstance(bench.ask("sum.2", T0 + at, add=False), Wait)
    assert isinstance(bench.ask("sum.1", T0 + 1_000_200, add=False), Released)
    assert isinstance(bench.ask("sum.2", T0 + 2_000_200, add=False), Released)


def test_who_had_a_turn_goes_to_the_end(bench):
    order = []
    for at in range(0, 12 * SECOND, 50_000):
        for name in ("sum.a", "sum.b", "sum.c"):
            if isinstance(bench.ask(name, T0 + at, rate=100), Released):
                order.append(name[-1])
    assert "".join(order) == "abc" * 4


def test_who_does_not_come_back_keeps_nobody_waiting_for_long(bench):
    bench.ask("sum.0", T0)
    for n in range(1, 30):
        assert isinstance(bench.ask(f"sum.{n}", T0 + n), Wait)
    # Only the last of them is still there.
    at, asked = T0, 0
    while not isinstance(bench.ask("sum.29", at, add=False), Released):
        at += 100_000
        asked += 1
    assert 20 <= asked <= 22  # 1 s is how long they may be away, and 1 s of grace


def test_a_clock_that_went_back_an_hour_keeps_nobody_waiting_for_an_hour(bench, client):
    bench.ask("sum.0", T0)
    bench.ask("sum.dead", T0 + 1)
    bench.ask("sum.1", T0 + 2)
    back = T0 - 3600 * SECOND
    assert isinstance(bench.ask("sum.1", back, add=False), Wait)
    assert client.zrange("budget:queue", 0, -1) == [b"sum.1"]
    assert isinstance(bench.ask("sum.1", back + SECOND, add=False), Released)


def test_who_comes_after_a_clock_went_back_stands_behind_who_waits(bench):
    bench.ask("sum.0", T0)
    bench.ask("sum.1", T0 + 1)
    back = T0 - SECOND // 2
    bench.ask("sum.2", back)
    assert isinstance(bench.ask("sum.2", back + SECOND, add=False), Wait)
    assert isinstance(bench.ask("sum.1", back + SECOND, add=False), Released)


def test_a_lowered_budget_counts_at_once_and_a_raised_one_gives_nothing_away(bench):
    for n in range(10):
        assert isinstance(bench.ask(f"sum.{n}", T0, Budget(per_second=100)), Released)
    assert isinstance(bench.ask("sum.10", T0 + SECOND, Budget(per_second=1)), Released)
    assert isinstance(bench.ask("sum.11", T0 + SECOND, Budget(per_second=1000)), Wait)


def test_purges_that_no_release_asked_for_are_paid_later_but_not_for_ever(bench):
    bench.state.spend(1, ONE, now_us=T0)
    assert bench.ask("sum.0", T0) == Wait(1000)
    bench.state.spend(1_000_000, ONE, now_us=T0)
    at = T0
    while not isinstance(bench.ask("sum.0", at, add=False), Released):
        at += 500_000
    assert at == T0 + 2 * SECOND  # a debt of one burst, and a token


@pytest.mark.parametrize("shares", [(50, 50), (95, 5)])
def test_a_hundred_busy_values_of_two_publishers_share_20_keys_a_second_in_turn(client, shares):
    """However unevenly the publishers are loaded. Each asks when it was told to, or a bit later."""
    budget, random = Budget(per_second=20), Random(8)
    benches = [Bench(client, 0), Bench(client, 1)]
    names = {f"sum.{n}": benches[n >= shares[0]] for n in range(100)}
    due = {name: T0 + random.randrange(SECOND) for name in names}
    releases: list[tuple[int, str]] = []
    now, end = T0, T0 + 40 * SECOND
    while (at := min(due.values())) < end:
        name = min(due, key=due.__getitem__)
        now = max(now, at + random.randrange(3_000))
        result = names[name].ask(name, now, budget)
        if isinstance(result, Released):
            releases.append((now, name))
            due[name] = now + SECOND
        else:
            due[name] = now + result.ms * 1000
    times = sorted(at for at, _ in releases)
    for first, at in enumerate(times):
        assert sum(at <= other < at + SECOND for other in times[first : first + 50]) <= 20
    assert len(releases) > 40 * 20 * 0.85
    counts = Counter(name for _, name in releases)
    assert len(counts) == 100
    assert max(counts.values()) - min(counts.values()) <= 1
    fair_s = 100 / 20
    for name in names:
        mine = [T0, *(at for at, its in releases if its == name), end]
        assert max(after - before for before, after in pairwise(mine)) <= 2 * fair_s * SECOND
