"""The arithmetic of a purge rate, and the rate that is recommended by it."""

from __future__ import annotations

import math
import random

import pytest

from holdfast.prediction import predict
from stack.sweep.choice import recommend
from stack.sweep.step import Measured


def test_with_many_arrivals_each_representation_is_asked_for_once_a_release():
    model = predict(2.0, 500.0, (1000.0, 1000.0))
    assert model.origin == pytest.approx(4.0)
    assert model.hit_ratio == pytest.approx(1 - 4 / 2000)


def test_with_few_arrivals_most_releases_are_never_asked_for():
    # 1 request in 100 releases: nearly each goes to the origin, few releases do.
    model = predict(10.0, 500.0, (0.1,))
    assert model.origin == pytest.approx(0.1, rel=0.01)


def test_no_rate_releases_more_often_than_there_are_updates():
    assert predict(math.inf, 3.0, (100.0,)) == predict(3.0, 500.0, (100.0,))


def test_the_age_is_that_of_a_screen_that_changes_once_a_release():
    model = predict(0.2, 500.0, ())
    assert (model.mean_age, model.p50_age, model.p99_age) == pytest.approx((2.5, 2.5, 4.95))


def test_each_edge_node_asks_for_itself():
    one, two = (predict(1.0, 500.0, (1000.0,), nodes=nodes).origin for nodes in (1, 2))
    assert two == pytest.approx(2 * one)


def test_nothing_changes_without_updates():
    assert predict(1.0, 0.0, (10.0,)).origin == 0


def test_it_agrees_with_a_simulation_of_random_arrivals():
    draw = random.Random(5)
    arrivals, releases, rounds = 3.0, 2.0, 20_000
    asked = sum(draw.expovariate(arrivals) < 1 / releases for _ in range(rounds))
    expected = predict(releases, 500.0, (arrivals,)).origin
    assert asked / rounds * releases == pytest.approx(expected, rel=0.02)


def _row(rate: float, origin: float, p99: float) -> Measured:
    return Measured(
        rate=rate,
        seconds=10.0,
        origin=origin,
        hit_ratio=0.9,
        releases=rate,
        purges=rate,
        deliveries=0.0,
        viewers=0.0,
        mean_age=p99 / 2,
        p50_age=p99 / 2,
        p99_age=p99,
        gaps=0,
        went_back=0,
        failed=0,
        stale=0,
    )


ROWS = [_row(0.5, 1.0, 2.1), _row(1.0, 2.0, 1.1), _row(10.0, 20.0, 0.3)]


def test_the_slowest_rate_that_is_fresh_enough_is_recommended():
    assert recommend(ROWS, origin_budget=50.0, age_s=1.5).rate == 1.0


def test_no_rate_is_recommended_that_the_origin_can_not_bear():
    choice = recommend(ROWS, origin_budget=10.0, age_s=0.5)
    assert choice.rate is None
    assert "20.0 requests/s" in choice.why


def test_no_rate_is_recommended_when_none_is_fresh_enough():
    choice = recommend(ROWS, origin_budget=50.0, age_s=0.1)
    assert choice.rate is None
    assert "0.30 s" in choice.why
