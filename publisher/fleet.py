"""The nodes of one kind, which may join and leave while the publisher runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from publisher.addresses import Addresses
from publisher.nodes import Node

log = logging.getLogger(__name__)

EVERY_S = 5.0

N = TypeVar("N", bound=Node[Any])


class Fleet(Generic[N]):
    """One node per address. Iterate over it from any thread; look() and start() are for one.

    Whoever is found later than the start has missed what was sent before: it is told so
    (`Node.welcome`), and handed out once by `newcomers`.
    """

    def __init__(self, addresses: Addresses, make: Callable[[str], N]) -> None:
        self._addresses = addresses
        self._make = make
        # Never changed, only replaced: a loop over it sees one state of it.
        self._nodes: dict[str, N] = {url: make(url) for url in addresses.urls}
        self._newcomers: list[N] = []
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[N]:
        return iter(self._nodes.values())

    def start(self) -> None:
        for node in self:
            node.start()

    def stop(self) -> None:
        """Finish what is queued, at all nodes at once."""
        nodes = list(self)
        for node in nodes:
            node.retire()
        for node in nodes:
            node.stop()

    def look(self) -> None:
        """Resolve the names again; take in who is new, let go of who has gone."""
        self._addresses.look()
        before = self._nodes
        after: dict[str, N] = {}
        joined: list[N] = []
        for url in self._addresses.urls:
            node = before.get(url)
            if node is None:
                node = self._make(url)
                node.welcome()
                joined.append(node)
            after[url] = node
        # From here on they get what is sent; what was sent before, they have missed.
        self._nodes = after
        for node in joined:
            log.info("%s joined", node.name)
            node.start()
        with self._lock:
            self._newcomers.extend(joined)
        for url in before.keys() - after.keys():
            log.info("%s left", before[url].name)
            before[url].retire()

    def newcomers(self) -> list[N]:
        """Who joined since the last call."""
        if not self._newcomers:
            return []
        with self._lock:
            newcomers, self._newcomers = self._newcomers, []
        return newcomers


class Lookout(threading.Thread):
    """Looks after names every 5 s, until `stopping` is set."""

    def __init__(self, looks: Sequence[Callable[[], None]], stopping: threading.Event) -> None:
        super().__init__(name="lookout", daemon=True)
        self._looks = looks
        self._stopping = stopping

    def run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            for look in self._looks:
                look()
