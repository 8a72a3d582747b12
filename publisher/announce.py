"""Announcing: purge every edge node, then publish to every Pushpin; always in that order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

from holdfast.errors import UnavailableError
from holdfast.formats import release_items, stale_hint, surrogate_key
from holdfast.snapshots import Snapshot
from holdfast.state import Partition, State
from publisher import metrics
from publisher.fleet import Fleet
from publisher.nodes import Node
from publisher.purge import EdgeNode
from publisher.push import Publication, PushNode
from publisher.spread import Spread
from publisher.trail import Arrivals, Trace

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Announcement:
    """A release to announce; snapshot None: a release whose item may have been sent before.

    trace: of the updates that it shows, as far as this publisher has applied them.
    """

    partition: Partition
    name: str
    version: int
    text: bool
    snapshot: Snapshot | None
    trace: Trace | None = None

    def publication(self) -> Publication:
        """The item itself, once; every later attempt is a confirm.

        A late item would make every viewer recover, a confirm only those who are behind.
        """
        if self.snapshot is None:
            return Publication.confirm(self.name, self.version, text=self.text)
        items = tuple(release_items(self.snapshot, text=self.text))
        return Publication(self.name, self.version, self.text, items)


class Announcer(threading.Thread):
    """Announces releases in batches: the newest per value of all that came while it was busy."""

    def __init__(
        self,
        state: State,
        edges: Fleet[EdgeNode],
        pushpins: Fleet[PushNode],
        wait: Callable[[Sequence[Future[bool]], float], object] = wait,
        arrivals: Arrivals | None = None,
    ) -> None:
        super().__init__(name="announcer", daemon=True)
        self._wait = wait
        self._arrivals = arrivals or Arrivals()
        self._state = state
        self._edges = edges
        self._pushpins = pushpins
        self._pending: dict[str, Announcement] = {}
        self._wake = threading.Condition()
        self._stopping = False

    def announce(self, announcements: Iterable[Announcement]) -> None:
        """Announce soon; a newer version of a value replaces one that still waits."""
        with self._wake:
            for announcement in announcements:
                waiting = self._pending.get(announcement.name)
                if waiting is None or waiting.version < announcement.version:
                    self._pending[announcement.name] = announcement
            self._wake.notify()

    def waits(self, name: str) -> bool:
        """Whether a release of the value waits for its turn.

        Who released another now would make the announcer skip that one, and every viewer recover
        from the gap: half a second each, at any rate above the announcer's own.
        """
        with self._wake:
            return name in self._pending

    def confirm(self, publications: Sequence[Publication]) -> None:
        """Send confirms behind whatever each Pushpin still has to get."""
        for pushpin in self._pushpins:
            pushpin.submit(publications)
        metrics.CONFIRMS.inc(len(publications))

    def welcome(self, missed: Callable[[], Sequence[Publication]]) -> None:
        """Send Pushpins that have joined what their viewers may have `missed` before."""
        for pushpin in self._pushpins.newcomers():
            publications = missed()
            pushpin.submit(publications)
            metrics.CONFIRMS.inc(len(publications))

    def purge(self, versions: Sequence[tuple[str, int]]) -> None:
        """Purge again what was purged before: names and their newest versions."""
        for edge in self._edges:
            edge.submit([(surrogate_key(name), version) for name, version in versions])

    def hint_stale(self) -> None:
        """Make the viewers that were served while the origin was down recover."""
        hint = Publication("", 0, False, (stale_hint(),))
        for pushpin in self._pushpins:
            if not pushpin.failing:
                pushpin.submit([hint])

    def console(self, item: dict[str, Any]) -> None:
        """Send an item that nothing is owed for: the next one says all of it again."""
        for pushpin in self._pushpins:
            if not pushpin.failing:
                pushpin.submit([Publication("", 0, False, (item,))])

    def stop(self, timeout_s: float = 10.0) -> None:
        """Announce what waits, then end."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self.join(timeout_s)

    def run(self) -> None:
        while True:
            with self._wake:
                while not self._pending and not self._stopping:
                    self._wake.wait()
                if not self._pending:
                    return
            self.turn()

    def turn(self) -> None:
        """Announce what waits now."""
        with self._wake:
            batch = list(self._pending.values())
            self._pending.clear()
        if batch:
            self._announce(batch)

    def _announce(self, batch: Sequence[Announcement]) -> None:
        keys = [(surrogate_key(each.name), each.version) for each in batch]
        edges = list(self._edges)
        purges = [edge.submit(keys) for edge in edges]
        Spread(purges)
        self._await(edges, purges)
        publications = [announcement.publication() for announcement in batch]
        pushpins = list(self._pushpins)
        self._await(pushpins, [pushpin.submit(publications) for pushpin in pushpins])
        for each in batch:
            if each.snapshot is not None:
                self._arrivals.note(each.name, each.version, each.trace)
        by_partition: dict[Partition, list[tuple[str, int]]] = {}
        for announcement in batch:
            versions = by_partition.setdefault(announcement.partition, [])
            versions.append((announcement.name, announcement.version))
        for partition, versions in by_partition.items():
            try:
                self._state.announced(partition, versions)
            except UnavailableError as error:
                # Still in `dirty`: announced again, by a confirm, once Redis is back.
                metrics.REDIS_ERRORS.inc()
                log.warning("could not note %d announced values: %s", len(versions), error)

    def _await(self, nodes: Sequence[Node[Any]], attempts: Sequence[Future[bool]]) -> None:
        """Until the nodes have taken it, those aside that fail or keep everybody waiting."""
        prompt = [
            (node, attempt)
            for node, attempt in zip(nodes, attempts, strict=True)
            if not node.failing and not node.late
        ]
        longest_s = max((node.patience.seconds for node, _ in prompt), default=0.0)
        self._wait([attempt for _, attempt in prompt], longest_s)
        for node, attempt in prompt:
            if not attempt.done():
                node.late = True
