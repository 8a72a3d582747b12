"""How old is what viewers look at: the time since the first acknowledged update it lacks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from stack.load.report import Report

BIN_S = 0.001
LONGEST_S = 120.0


@dataclass(frozen=True, slots=True)
class Ages:
    """Over all screens and all the time, in s."""

    mean: float
    p50: float
    p99: float


def on_screens(report: Report, acknowledged: Sequence[float], base: int, start: float) -> Ages:
    """Ages of a sum to which each update adds 1, on every screen from `start` on.

    base: the value before the first of `acknowledged`. While a screen shows v, its age grows from
    the moment at which update number v - base + 1 was acknowledged; it is 0 before that.
    """
    # changes[n]: how many more screens spend time at an age of n bins than at n - 1.
    changes = [0.0] * (round(LONGEST_S / BIN_S) + 2)
    fresh_s = 0.0
    for value, since, until in zip(
        report.shown_value, report.shown_from, report.shown_until, strict=True
    ):
        since = max(since, start)
        if until <= since:
            continue
        number = value - base
        lacks = acknowledged[number] if 0 <= number < len(acknowledged) else until
        fresh_s += max(0.0, min(until, lacks) - since)
        if until > lacks:
            changes[_bin(max(0.0, since - lacks))] += 1
            changes[_bin(until - lacks) + 1] -= 1
    return _quantiles(changes, fresh_s)


def _bin(seconds: float) -> int:
    return min(round(seconds / BIN_S), round(LONGEST_S / BIN_S))


def _quantiles(changes: Sequence[float], fresh_s: float) -> Ages:
    spent: list[float] = []  # up to each age, s of all screens together
    screens, total, weighted = 0.0, fresh_s, 0.0
    for number, change in enumerate(changes):
        screens += change
        total += screens * BIN_S
        weighted += screens * BIN_S * number * BIN_S
        spent.append(total)
    if not total:
        return Ages(0.0, 0.0, 0.0)
    return Ages(weighted / total, *(bisect_right(spent, total * q) * BIN_S for q in (0.5, 0.99)))
