"""The purge budget of the whole service: how many keys may be purged in a second and in an hour."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

HOUR_S = 3600


class Bucket(NamedTuple):
    """A token bucket. rate: tokens/s, 0 = no limit. burst: its size."""

    rate: float = 0.0
    burst: int = 1


@dataclass(frozen=True, slots=True)
class Budget:
    """Keys per second and per hour; 0 = no limit."""

    per_second: float = 0.0
    per_hour: float = 0.0

    @property
    def second(self) -> Bucket:
        return _bucket(self.per_second, 1)

    @property
    def hour(self) -> Bucket:
        return _bucket(self.per_hour, HOUR_S)


NO_BUDGET = Budget()


def _bucket(keys: float, window_s: int) -> Bucket:
    """A tenth may come at once and the rest evenly, so that no window ever holds more than `keys`.

    A bucket gives `burst + rate * window` in its worst window, the last of them at its very end.
    """
    if not keys:
        return Bucket()
    burst = max(1, math.floor(keys / 10))
    return Bucket((keys - (burst - 1)) / window_s, burst)
