"""Gathers the figures of the whole service once a second: the one truth of what operators see.

Every publisher reports what it knows; the one that leads makes an overview of all reports, of
Redis, and of what edges and Pushpins say of themselves.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from holdfast import overview
from holdfast.errors import UnavailableError
from holdfast.figures import RENEW_S, Figures
from publisher import metrics, report
from publisher.gather import Gatherer
from publisher.report import Report, Reporter

log = logging.getLogger(__name__)

EVERY_S = 1.0


class Collector(threading.Thread):
    """Reports each second until `stopping` is set; makes the overview while `leads()`.

    publish: sends an overview, JSON, to whoever watches. renew: makes them prove that they may.
    """

    def __init__(
        self,
        slot: str,
        figures: Figures,
        reporter: Reporter,
        gatherer: Gatherer,
        leads: Callable[[], bool],
        publish: Callable[[bytes], None],
        renew: Callable[[], None],
        stopping: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="collector", daemon=True)
        self._slot = slot
        self._figures = figures
        self._reporter = reporter
        self._gatherer = gatherer
        self._leads = leads
        self._publish = publish
        self._renew = renew
        self._stopping = stopping
        self._clock = clock
        self._renew_at: float | None = None
        self._failing = False

    def run(self) -> None:
        due = self._clock()
        while not self._stopping.wait(max(0.0, due - self._clock())):
            # Not in step with values that are released once a second, or every look would find
            # them equally old.
            due = max(due + EVERY_S * random.uniform(0.7, 1.3), self._clock())  # noqa: S311
            try:
                self.turn()
                self._failing = False
            except UnavailableError as error:
                metrics.REDIS_ERRORS.inc()
                if not self._failing:
                    log.warning("no figures: %s", error)
                self._failing = True

    def turn(self) -> None:
        """One report, and one overview if this publisher leads. Raises UnavailableError."""
        own = self._reporter.report()
        self._figures.report(self._slot, msgspec.json.encode(own))
        if not self._leads():
            return
        made = self._gatherer.gather(self._reports(own))
        encoded = overview.encode(made)
        watched = self._figures.publish(encoded, made.point())
        if not watched:
            self._renew_at = None
            return
        self._publish(encoded)
        if self._renew_at is None:
            self._renew_at = self._clock() + RENEW_S
        # Where no edge node can be reached, nobody could prove anything, and every stream would
        # end just when it is needed most.
        reachable = any(edge.owed_since_ms is None for edge in made.edges)
        if self._clock() >= self._renew_at and (reachable or not made.edges):
            self._renew_at = self._clock() + RENEW_S
            self._renew()

    def _reports(self, own: Report) -> Sequence[Report]:
        """Of all publishers, one's own anew."""
        found = [own]
        for slot, text in self._figures.reports().items():
            if slot == self._slot:
                continue
            try:
                found.append(report.decode(text))
            except msgspec.DecodeError as error:  # of another release of Holdfast
                log.debug("the report of %s can't be read: %s", slot, error)
        return found
