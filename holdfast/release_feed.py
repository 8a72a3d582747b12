"""Tells which values were released, by looking again and again at what release.lua notes.

Each partition has a sorted set of names by the time of their last release, Redis's clock. What was
released since the last look stands there with another time than before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import redis

from holdfast.snapshots import Snapshot
from holdfast.state import State, available
from holdfast.values import Values

OVERLAP_MS = 1_000  # a clock that is slewed goes back by less


class ReleaseFeed:
    """One reader's place among all releases. Methods raise UnavailableError."""

    def __init__(self, client: redis.Redis, state: State, values: Values) -> None:
        self._redis = client
        self._state = state
        self._values = values
        self._from_ms: float | None = None
        self._clock_ms = 0.0
        self._seen: dict[str, float] = {}  # when names were released, from _from_ms on

    def look(self) -> list[str] | None:
        """Names with a release since the last look, oldest first.

        None: there is no telling, look at everything. So it is at first, after Redis could not be
        asked, and when its clock was set back.
        """
        from_ms, self._from_ms = self._from_ms, None  # until all has worked
        clock_ms, found = self._range("+inf" if from_ms is None else from_ms)
        lost = from_ms is None or clock_ms < self._clock_ms
        self._clock_ms = clock_ms
        if from_ms is None or lost:
            self._from_ms = clock_ms - OVERLAP_MS
            self._seen.clear()
            return None
        new = [(at, name) for name, at in found if self._seen.get(name) != at]
        self._seen.update(found)
        self._from_ms = max([from_ms, *(at - OVERLAP_MS for at, _ in new)])
        self._seen = {name: at for name, at in self._seen.items() if at >= self._from_ms}
        return self._known(new)

    def everything(self) -> list[str]:
        """All values that have a release, the oldest first."""
        _, found = self._range("-inf")
        return self._known((at, name) for name, at in found)

    def newest(self, name: str) -> Snapshot | None:
        """The newest release of the value."""
        return self._state.snapshots([name]).get(name)

    def announced(self, name: str) -> int:
        """Every edge and all viewers were told of the value's releases up to this version."""
        with available():
            reply: Any = self._redis.hget(f"value:{name}", "announced")
        return int(reply or 0)

    def _known(self, found: Iterable[tuple[float, str]]) -> list[str]:
        return [name for _, name in sorted(found) if self._values.rules(name) is not None]

    def _range(self, from_ms: float | str) -> tuple[float, list[tuple[str, float]]]:
        """Redis's clock, ms, and what was released from then on: names and times."""
        topics = self._values.topics
        pipe = self._redis.pipeline(transaction=False)
        for topic in topics:
            pipe.hget(f"ready:{topic}", "partitions")
        with available():
            counts: list[Any] = pipe.execute()
        pipe.time()
        for topic, count in zip(topics, counts, strict=True):
            for number in range(int(count or 0)):
                pipe.zrangebyscore(f"released:{topic}:{number}", from_ms, "+inf", withscores=True)
        with available():
            (seconds, micros), *replies = pipe.execute()
        found = [(name.decode(), at) for names in replies for name, at in names]
        return seconds * 1000 + micros / 1000, found
