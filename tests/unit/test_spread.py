"""How far apart the edges' answers to a purge are."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from prometheus_client import REGISTRY

from publisher.spread import Spread


def _counted():
    name = "holdfast_purge_spread_seconds"
    return (
        REGISTRY.get_sample_value(f"{name}_count"),
        REGISTRY.get_sample_value(f"{name}_sum"),
    )


@pytest.mark.parametrize(
    ("answers", "spread"),
    [
        ([(1.0, True), (1.25, True), (1.5, True)], 0.5),
        ([(1.0, True), (3.0, False), (1.5, True)], 0.5),  # a failure is no answer
        ([(1.0, True), (3.0, False)], None),
        ([(1.0, True)], None),
        ([(1.0, False), (2.0, False)], None),
    ],
)
def test_the_spread_is_from_the_first_answer_to_the_last(answers, spread):
    times = iter([at for at, _ in answers])
    purges = [Future() for _ in answers]
    count, total = _counted()
    Spread(purges, lambda: next(times))
    for purge, (_, taken) in zip(purges, answers, strict=True):
        assert _counted() == (count, total)  # only once all were attempted
        purge.set_result(taken)
    if spread is None:
        assert _counted() == (count, total)
    else:
        assert _counted() == (count + 1, pytest.approx(total + spread))
