"""What the arithmetic says of a purge rate; the sweep shows it beside what was measured.

Each release makes every representation of the value stale at the edge. Of each, the first request
after it goes to the origin, if any comes before the next release: with arrivals at random that
happens with 1 - exp(-arrivals / releases).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prediction:
    """releases, origin: per second. ages: s."""

    releases: float
    origin: float
    hit_ratio: float
    mean_age: float
    p50_age: float
    p99_age: float


def predict(
    rate: float, updates: float, arrivals: Sequence[float], *, nodes: int = 1
) -> Prediction:
    """At `rate` releases/s (math.inf = unlimited), with `updates` per second.

    arrivals: requests per second of each representation, over all edge nodes together. nodes:
    edge nodes, if each gets a share of the arrivals; 1 where a value lives in one node.
    """
    releases = min(rate, updates)
    if releases <= 0:
        return Prediction(0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    origin = releases * sum(
        nodes * -math.expm1(-each / nodes / releases) for each in arrivals if each > 0
    )
    requests = sum(arrivals)
    # A screen's age rises from 0 to the time between two releases, again and again.
    between = 1 / releases
    return Prediction(
        releases=releases,
        origin=origin,
        hit_ratio=1 - origin / requests if requests else 1.0,
        mean_age=between / 2,
        p50_age=between / 2,
        p99_age=0.99 * between,
    )
