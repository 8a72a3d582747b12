"""How a node answered lately: how fast, how often not, and since when it is owed something."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence

from holdfast.overview import LATENCY_S

MOST_SAMPLES = 200
MOST_FAILURES = 1000  # at four tries a second: more than a minute


class Tally:
    """Written by the node's thread, read from another. clock: s."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._took: deque[tuple[float, float]] = deque(maxlen=MOST_SAMPLES)
        self._failures: deque[float] = deque(maxlen=MOST_FAILURES)
        self._owed_at: float | None = None
        self.sent = 0

    def took(self, seconds: float) -> None:
        """A request was answered well."""
        self.sent += 1
        self._took.append((self._clock(), seconds))

    def failed(self) -> None:
        self._failures.append(self._clock())

    def owes(self, owing: bool) -> None:
        """Whether the node lacks something from now on."""
        if not owing:
            self._owed_at = None
        elif self._owed_at is None:
            self._owed_at = self._clock()

    @property
    def owed_s(self) -> float | None:
        """For how long it has lacked something, None = it lacks nothing."""
        owed_at = self._owed_at
        return None if owed_at is None else self._clock() - owed_at

    @property
    def samples_ms(self) -> list[float]:
        """What the newest requests of the last minute took."""
        since = self._clock() - LATENCY_S
        return [round(took_s * 1000, 2) for at, took_s in tuple(self._took) if at >= since]

    @property
    def failures(self) -> int:
        """Of the last minute."""
        since = self._clock() - LATENCY_S
        return sum(1 for at in tuple(self._failures) if at >= since)


def percentile(samples: Sequence[float], share: float) -> float | None:
    """The smallest sample that at least `share` of all do not exceed; None of none."""
    if not samples:
        return None
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
