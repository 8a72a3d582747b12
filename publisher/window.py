"""Counters as they stood during the last seconds, and how fast they grew."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Window(Generic[Key]):
    """Remembers what counters said, for `seconds` and one look more. Times are of any clock, s."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._looks: deque[tuple[float, Mapping[Key, float]]] = deque()

    def look(self, now: float, counters: Mapping[Key, float]) -> None:
        """What all counters say now. One that is missing is not known."""
        self._looks.append((now, counters))
        while len(self._looks) > 2 and self._looks[1][0] <= now - self._seconds:
            self._looks.popleft()

    def rate(self, key: Key, *, from_zero: bool = False) -> float | None:
        """Per second, None = unknown. A counter that shrank was begun again at 0.

        from_zero: it stood at 0 whenever it was missing.
        """
        if not self._looks or key not in self._looks[-1][1]:
            return None
        grown, since, last = 0.0, None, None
        for at, counters in self._looks:
            value = counters.get(key, 0.0 if from_zero else None)
            if value is None:
                continue
            if since is None or last is None:
                since = at
            else:
                grown += value - last if value >= last else value
            last = value
        passed = self._looks[-1][0] - (since if since is not None else 0.0)
        return grown / passed if passed > 0 else None
