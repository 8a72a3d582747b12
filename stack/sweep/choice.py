"""A rate for an operator: the slowest that is fresh enough, if the origin can bear it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stack.sweep.step import Measured


@dataclass(frozen=True, slots=True)
class Choice:
    """rate None: no measured rate does it, and `why` says what is in the way."""

    rate: float | None
    why: str


def recommend(rows: Sequence[Measured], origin_budget: float, age_s: float) -> Choice:
    """The lowest rate of `rows` whose age (p99) is at most `age_s`, within the origin's budget.

    origin_budget: requests/s. A lower rate asks the origin and the purge API for less, so there
    is no reason to take a higher one.
    """
    fresh = [row for row in rows if row.p99_age <= age_s]
    if not fresh:
        best = min(rows, key=lambda row: row.p99_age)
        return Choice(
            None, f"no rate keeps p99 within {age_s:g} s; the best was {best.p99_age:.2f} s"
        )
    row = min(fresh, key=lambda row: row.rate)
    if row.origin > origin_budget:
        return Choice(
            None,
            f"{row.rate:g} releases/s would be fresh enough, but ask the origin for "
            f"{row.origin:.1f} requests/s",
        )
    return Choice(
        row.rate,
        f"p99 of the age {row.p99_age:.2f} s, {row.origin:.1f} origin requests/s, "
        f"{row.purges:.1f} purges/s",
    )
