"""How long a node is waited for."""

from __future__ import annotations

import pytest

from publisher.patience import LEAST_S, MOST_S, Patience


def _after(*times_s: float) -> float:
    patience = Patience()
    for took_s in times_s:
        patience.note(took_s)
    return patience.seconds


def test_a_node_that_never_answered_gets_the_most():
    assert _after() == MOST_S


def test_a_node_that_is_quick_gets_the_least():
    assert _after(*[0.005] * 20) == LEAST_S


def test_a_node_that_is_slow_gets_more_than_it_takes():
    assert 0.3 < _after(*[0.3] * 20) < MOST_S


def test_a_node_that_changes_gets_more_than_one_that_is_always_as_slow():
    assert _after(*[0.1, 0.3] * 20) > _after(*[0.2] * 40)


@pytest.mark.parametrize("took_s", [0.0, 5.0])
def test_patience_stays_within_its_bounds(took_s):
    assert LEAST_S <= _after(*[took_s] * 50) <= MOST_S


def test_one_slow_answer_is_forgotten_after_some_quick_ones():
    assert _after(*[0.005] * 20, 0.9) > 2 * LEAST_S
    assert _after(*[0.005] * 20, 0.9, *[0.005] * 40) == LEAST_S
