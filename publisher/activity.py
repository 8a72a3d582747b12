"""What this publisher did to which value: updates that it applied, releases that it made."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

MOST_NAMES = 1000  # the rest is in the totals


class Counts(NamedTuple):
    """Since the first that is remembered; they only grow."""

    updates: int
    releases: int


class Activity:
    """Counts from the loop's thread, read from another. The names of longest ago are forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[str, Counts] = {}
        self._updates = self._releases = 0

    def updates(self, counts: Iterable[tuple[str, int]], total: int) -> None:
        """A batch was applied: updates by name, and of all names together."""
        with self._lock:
            self._updates += total
            for name, count in islice(counts, MOST_NAMES):
                self._count(name, count, 0)
            self._trim()

    def release(self, name: str) -> None:
        with self._lock:
            self._releases += 1
            self._count(name, 0, 1)
            self._trim()

    def read(self) -> tuple[Counts, dict[str, Counts]]:
        """Of all names together, and by name, the one of longest ago first."""
        with self._lock:
            return Counts(self._updates, self._releases), dict(self._by_name)

    def _count(self, name: str, updates: int, releases: int) -> None:
        # Taken out and put in again: a dict keeps its order.
        before = self._by_name.pop(name, Counts(0, 0))
        self._by_name[name] = Counts(before.updates + updates, before.releases + releases)

    def _trim(self) -> None:
        for name in list(islice(self._by_name, max(0, len(self._by_name) - MOST_NAMES))):
            del self._by_name[name]
