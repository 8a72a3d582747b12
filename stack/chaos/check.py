"""What a round of chaos has shown: did anybody lose, double, go back or outrun the rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of the table. Times in seconds; updates are those that were answered 202.

    spreads: of each purge, from the first edge to the last; none where an edge was the victim.
    """

    part: str
    fault: str
    updates: int
    retries: int
    lost: int
    doubled: int
    silence_s: float
    recovery_s: float
    resets: int
    faults: tuple[str, ...] = field(default=())
    spreads: tuple[float, ...] = field(default=())

    @property
    def good(self) -> bool:
        return not (self.lost or self.doubled or self.faults)


def lost_and_doubled(
    expected: Mapping[str, int], found: Mapping[str, int], weighted: str
) -> tuple[int, int]:
    """Updates that are missing from, and that are too many in, the final values.

    The value `weighted` took random amounts: how many updates made its difference is not known,
    so it counts as one.
    """
    lost = doubled = 0
    for name, value in expected.items():
        difference = found[name] - value
        count = min(1, abs(difference)) if name == weighted else abs(difference)
        if difference < 0:
            lost += count
        else:
            doubled += count
    return lost, doubled


def beyond_rate(
    versions: Iterable[int], rate: float, burst: int, *, extra: int = 0
) -> tuple[int, int] | None:
    """The first two releases, by their version in ms, between which there were too many.

    extra: releases that may come on top, because the bucket was lost.
    """
    times: Sequence[int] = sorted(set(versions))
    for first, start in enumerate(times):
        for last in range(first + 1, len(times)):
            # Versions are whole milliseconds: either end may be off by one.
            allowed = rate * (times[last] - start + 2) / 1000 + burst + extra
            if last - first + 1 > allowed:
                return start, times[last]
    return None
