"""The figures of the whole service at one moment: what the console, /api/overview and `holdfast
top` show. The publisher that leads makes them once a second (publisher/collector.py).

A member that is None is not known: nobody has told it, or nothing happened to measure it by.
"""

from __future__ import annotations

import msgspec

WINDOW_S = 10.0  # rates are means over so long
LATENCY_S = 60.0  # percentiles and failures are of so long
MOST_VALUES = 100
MOST_TEXT = 120  # characters of a value's JSON
STALE_AFTER_S = 5.0


class ValueFigures(msgspec.Struct, frozen=True):
    """One value. working, released: JSON as text, cut at 120 characters.

    updates_per_s counts updates in, releases_per_s releases out. behind_s: for how long screens
    have lacked the oldest change that is not released; 0 = they show it all. released_at_ms: 0 =
    never. paused_by: the operator who did. rate, burst, threshold, settle: in effect.
    """

    name: str
    reduce: str
    default: bool
    working: str | None
    released: str | None
    version: int
    released_at_ms: int
    behind_s: float
    updates_per_s: float
    releases_per_s: float
    tokens: float
    rate: float
    burst: int
    threshold: float
    settle: float
    paused_by: str | None
    waits_for_budget: bool


class NodeFigures(msgspec.Struct, frozen=True):
    """What every publisher knows of an edge node or a Pushpin: purges or publishes, together.

    p50_ms, p99_ms: of the newest requests of the last minute. failed_last_minute: tries that
    failed.
    owed_since_ms: since when it lacks something, None = it lacks nothing.
    """

    name: str
    url: str
    p50_ms: float | None
    p99_ms: float | None
    sent_per_s: float
    failed_last_minute: int
    owed_since_ms: int | None


class EdgeFigures(NodeFigures, frozen=True):
    """And what the node itself counts. hit_ratio: 0 to 1, of the requests that could be hits.
    origin_requests_per_s: of all kinds, updates among them; misses_per_s: reads.
    """

    requests_per_s: float | None
    misses_per_s: float | None
    origin_requests_per_s: float | None
    hit_ratio: float | None


class PushpinFigures(NodeFigures, frozen=True):
    """And what the node itself counts. viewers: connections that it holds now."""

    viewers: int | None
    deliveries_per_s: float | None


class PartitionFigures(msgspec.Struct, frozen=True):
    """lag: records that came a second ago and are not applied. reader: a slot, None = nobody."""

    topic: str
    number: int
    lag: int | None
    reader: str | None
    caught_up: bool


class BudgetFigures(msgspec.Struct, frozen=True):
    """Keys per second and hour, None = no limit; what is left of them; values that wait."""

    per_second: float | None
    per_hour: float | None
    left_second: float | None
    left_hour: float | None
    waiting: int


class Alert(msgspec.Struct, frozen=True):
    """What an operator should know. level: `bad` or `warn`."""

    level: str
    text: str


class Totals(msgspec.Struct, frozen=True):
    """Over everything: what the charts show. Times in ms; behind_s: of the value that lacks most.

    values: how many there are, of which the overview shows some.
    """

    values: int
    updates_per_s: float
    releases_per_s: float
    behind_s: float
    lag: int | None
    viewers: int | None
    deliveries_per_s: float | None
    hit_ratio: float | None
    origin_requests_per_s: float | None
    misses_per_s: float | None
    purge_p99_ms: float | None
    publish_p99_ms: float | None


class Overview(msgspec.Struct, frozen=True):
    """at_ms: since 1970, Redis's clock. slot: of the publisher that made it."""

    at_ms: int
    slot: str
    publishers: list[str]
    totals: Totals
    alerts: list[Alert]
    values: list[ValueFigures]
    edges: list[EdgeFigures]
    pushpins: list[PushpinFigures]
    partitions: list[PartitionFigures]
    budget: BudgetFigures

    def point(self) -> list[float | None]:
        """A point of the charts: the time, s, and the totals in the order of SERIES."""
        return [self.at_ms / 1000, *(getattr(self.totals, name) for name in SERIES)]


SERIES = tuple(name for name in Totals.__struct_fields__ if name != "values")


def encode(overview: Overview) -> bytes:
    return msgspec.json.encode(overview)


_DECODER = msgspec.json.Decoder(Overview)


def decode(data: bytes) -> Overview:
    """Raises msgspec.DecodeError when another release of Holdfast wrote something else."""
    return _DECODER.decode(data)
