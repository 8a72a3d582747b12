"""What one publisher tells the one that leads, once a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import msgspec

from holdfast.overview import MOST_VALUES, WINDOW_S
from holdfast.state import Partition
from publisher.activity import Activity
from publisher.nodes import Node
from publisher.partitions import Standing
from publisher.window import Window


class NodeReport(msgspec.Struct, frozen=True):
    """kind: `edge` or `pushpin`. took_ms: of its newest requests. failed: in the last minute."""

    kind: str
    url: str
    took_ms: list[float]
    sent_per_s: float
    failed: int
    owed_since_ms: int | None


class PartitionReport(msgspec.Struct, frozen=True):
    """lag: records that came a second ago and are not applied, None = unknown. refused: an operator
    must look at its log.
    """

    topic: str
    number: int
    partitions: int
    lag: int | None
    caught_up: bool
    refused: bool


class Report(msgspec.Struct, frozen=True):
    """Rates are per second, over the last 10 s. values: the newest, their updates and releases."""

    slot: str
    updates: float
    releases: float
    values: dict[str, tuple[float, float]]
    nodes: list[NodeReport]
    partitions: list[PartitionReport]
    settings_read: bool


_DECODER = msgspec.json.Decoder(Report)


def decode(data: bytes) -> Report:
    """Raises msgspec.DecodeError."""
    return _DECODER.decode(data)


class Reporter:
    """Makes the reports of this publisher. end: of a partition's log, None = unknown.

    clock: s that only go forward; wall: s since 1970.
    """

    def __init__(
        self,
        slot: str,
        activity: Activity,
        edges: Iterable[Node],  # type: ignore[type-arg]
        pushpins: Iterable[Node],  # type: ignore[type-arg]
        standing: Callable[[], Sequence[Standing]],
        end: Callable[[Partition], int | None],
        settings_read: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._slot = slot
        self._activity = activity
        self._edges = edges
        self._pushpins = pushpins
        self._standing = standing
        self._end = end
        self._settings_read = settings_read
        self._clock = clock
        self._wall = wall
        self._window: Window[tuple[str, str]] = Window(WINDOW_S)
        self._ends: dict[Partition, int | None] = {}

    def report(self) -> Report:
        """One report; to be asked for once a second."""
        total, by_name = self._activity.read()
        nodes = list(chain(self._edges, self._pushpins))
        counters: dict[tuple[str, str], float] = {("all", "in"): total.updates}
        counters["all", "out"] = total.releases
        for name, counts in by_name.items():
            counters["in", name], counters["out", name] = counts
        for node in nodes:
            counters["sent", node.url] = node.tally.sent
        self._window.look(self._clock(), counters)
        newest = list(by_name)[-MOST_VALUES:]
        return Report(
            slot=self._slot,
            updates=self._rate("all", "in"),
            releases=self._rate("all", "out"),
            values={name: (self._rate("in", name), self._rate("out", name)) for name in newest},
            nodes=[self._node(node) for node in nodes],
            partitions=[self._partition(each) for each in self._standing()],
            settings_read=self._settings_read(),
        )

    def _rate(self, kind: str, name: str) -> float:
        return round(self._window.rate((kind, name), from_zero=True) or 0.0, 3)

    def _node(self, node: Node) -> NodeReport:  # type: ignore[type-arg]
        tally, owed_s = node.tally, node.tally.owed_s
        return NodeReport(
            kind=node.kind,
            url=node.url,
            took_ms=tally.samples_ms,
            sent_per_s=self._rate("sent", node.url),
            failed=tally.failures,
            owed_since_ms=None if owed_s is None else round((self._wall() - owed_s) * 1000),
        )

    def _partition(self, standing: Standing) -> PartitionReport:
        # As of the last report: what came since is on its way, and no lag.
        now = self._end(standing.partition)
        end = self._ends.get(standing.partition) or now
        self._ends[standing.partition] = now
        return PartitionReport(
            topic=standing.partition.topic,
            number=standing.partition.number,
            partitions=standing.partitions,
            lag=None if end is None or standing.refused else max(0, end - standing.position),
            caught_up=standing.caught_up,
            refused=standing.refused,
        )
