"""From a record to its announcement: how long that took, and lines by which it can be followed.

An update is known by where it stands in Kafka, `<topic>/<partition>/<offset>`: the answer to a POST
says so, and the origin's log says which X-Request-Id that was. A release shows it if it is the
first one of the value that goes at least as far; the lines at DEBUG say how far each does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from holdfast.state import Partition
from publisher import metrics

log = logging.getLogger(__name__)

SUMMARY_S = 10.0  # between lines at INFO, so that a log shows that releases are made


@dataclass(slots=True)
class Trace:
    """What a release shows that none before it did. since_ms: when Kafka took the oldest update of
    that, since 1970. last: the newest one.
    """

    since_ms: int
    last: str


class Trail:
    """What was applied of each value and is not released so far. For one thread."""

    def __init__(self) -> None:
        self._traces: dict[str, Trace] = {}

    def applied(
        self, partition: Partition, name: str, first: int, last: int, since_ms: int
    ) -> None:
        """Updates of a value from one batch. first, last: their offsets."""
        update = f"{partition.topic}/{partition.number}/{last}"
        trace = self._traces.get(name)
        if trace is None:
            self._traces[name] = Trace(since_ms, update)
        else:
            trace.last = update
        if log.isEnabledFor(logging.DEBUG):
            fields = {"value": name, "first": first, "update": update}
            log.debug("applied %s from %d to %s", name, first, update, extra={"fields": fields})

    def take(self, name: str) -> Trace | None:
        """What a release that was just made shows; None when that was applied by another."""
        return self._traces.pop(name, None)

    def forget(self, names: Iterable[str]) -> None:
        """Nothing of these is left to release, or another publisher owns them."""
        for name in names:
            self._traces.pop(name, None)


class Arrivals:
    """Notes what was announced. wall: seconds since 1970; clock: seconds that only go forward.

    shown: the values whose names may be labels.
    """

    def __init__(
        self,
        shown: Iterable[str] = (),
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shown = frozenset(shown)
        self._wall = wall
        self._clock = clock
        self._count = 0
        self._next_line_at = clock()

    def note(self, name: str, version: int, trace: Trace | None) -> None:
        """A release was attempted on every node that answers."""
        self._count += 1
        age_s = None
        if trace is not None and trace.since_ms > 0:
            # Whoever wrote the record may have a clock that is ahead.
            age_s = max(0.0, self._wall() - trace.since_ms / 1000)
            metrics.AGE.observe(age_s)
        if name in self._shown:
            metrics.VALUE_RELEASES.labels(name).inc()
            if age_s is not None:
                metrics.VALUE_AGE.labels(name).observe(age_s)
        summary = self._clock() >= self._next_line_at
        if not summary and not log.isEnabledFor(logging.DEBUG):
            return
        update = None if trace is None else trace.last
        line = f"announced {name} {version}"
        if update is not None:
            line += f", up to {update}"
        if age_s is not None:
            line += f", {age_s:.3f} s after its oldest update"
        if summary:
            self._next_line_at = self._clock() + SUMMARY_S
            line += f"; {self._count} since the last such line"
            self._count = 0
        fields = {"value": name, "version": version, "update": update, "age_s": age_s}
        log.log(logging.INFO if summary else logging.DEBUG, "%s", line, extra={"fields": fields})
