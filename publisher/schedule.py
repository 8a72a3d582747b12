"""What is due when: one deadline per name, earliest first."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Schedule(Generic[Key]):
    """Keys with a due time, in seconds of whatever clock the caller uses. Not thread-safe."""

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: Key, due: float) -> None:
        """Make `key` due at `due`, whatever it was before."""
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))

    def soonest(self, key: Key, due: float) -> None:
        """Make `key` due at `due`, unless it is due earlier already."""
        if due < self._due.get(key, float("inf")):
            self.set(key, due)

    def hasten(self, due: float) -> None:
        """Make whatever is due later due at `due`."""
        for key, later in list(self._due.items()):
            if later > due:
                self.set(key, due)

    def drop(self, key: Key) -> None:
        """Forget `key`, if it is there."""
        self._due.pop(key, None)

    def next(self) -> float | None:
        """When something is due next, None when nothing is."""
        while self._heap:
            due, _, key = self._heap[0]
            if self._due.get(key) == due:
                return due
            heapq.heappop(self._heap)
        return None

    def take(self, now: float, most: int = 10_000) -> list[Key]:
        """Remove and return at most `most` keys that are due by `now`."""
        taken: list[Key] = []
        while len(taken) < most:
            due = self.next()
            if due is None or due > now:
                break
            _, _, key = heapq.heappop(self._heap)
            del self._due[key]
            taken.append(key)
        return taken
