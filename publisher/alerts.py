"""What an operator should know, in words: worked out of the figures, the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.overview import (
    Alert,
    BudgetFigures,
    EdgeFigures,
    NodeFigures,
    PartitionFigures,
    PushpinFigures,
    ValueFigures,
)

LATE_AFTER_S = 10.0  # beyond a value's own rate and settle
MOST_LAG = 1000  # records
MOST_NAMED = 5  # values in one sentence


def alerts(
    now_ms: int,
    values: Sequence[ValueFigures],
    edges: Sequence[EdgeFigures],
    pushpins: Sequence[PushpinFigures],
    partitions: Sequence[PartitionFigures],
    budget: BudgetFigures,
    refused: Sequence[str],
    deaf: Sequence[str],
) -> list[Alert]:
    """refused: partitions that wait for an operator. deaf: publishers that can't read settings."""
    found = [
        *_nodes(edges, "a purge", now_ms),
        *_nodes(pushpins, "what it missed", now_ms),
        *_partitions(partitions, refused),
        *_settings(deaf),
        *_budget(budget),
        *_values(values),
    ]
    return sorted(found, key=lambda alert: alert.level)  # `bad` comes before `warn`


def duration(seconds: float) -> str:
    """So long, as one says it: `40 s`, `3 min`, `2 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _nodes(nodes: Sequence[NodeFigures], what: str, now_ms: int) -> Iterator[Alert]:
    for node in nodes:
        if node.owed_since_ms is not None:
            owed_s = max(0.0, (now_ms - node.owed_since_ms) / 1000)
            yield Alert("bad", f"{node.name} has been owed {what} for {duration(owed_s)}")
        elif node.failed_last_minute:
            times = "once" if node.failed_last_minute == 1 else f"{node.failed_last_minute} times"
            yield Alert("warn", f"{node.name} failed {times} in the last minute, and is back")


def _partitions(partitions: Sequence[PartitionFigures], refused: Sequence[str]) -> Iterator[Alert]:
    for name in refused:
        yield Alert("bad", f"{name} waits for an operator: its log does not fit the state")
    for part in partitions:
        name = f"{part.topic}[{part.number}]"
        if part.reader is None:
            yield Alert("bad", f"nobody reads {name}")
        elif name in refused:
            continue
        elif not part.caught_up:
            yield Alert("warn", f"{name} is being replayed: its values are not released meanwhile")
        elif part.lag is not None and part.lag > MOST_LAG:
            yield Alert("warn", f"{name} lies {part.lag:,} records behind")


def _settings(deaf: Sequence[str]) -> Iterator[Alert]:
    for slot in deaf:
        yield Alert("bad", f"{slot} can't read what operators set, and releases nothing")


def _budget(budget: BudgetFigures) -> Iterator[Alert]:
    if budget.waiting:
        some = "1 value waits" if budget.waiting == 1 else f"{budget.waiting} values wait"
        yield Alert("warn", f"{some} for the purge budget")


def _values(values: Sequence[ValueFigures]) -> Iterator[Alert]:
    paused = [value for value in values if value.paused_by is not None]
    if paused:
        yield Alert("warn", f"paused: {_names(paused)}")
    late = [
        value
        for value in values
        if value.paused_by is None
        and not value.waits_for_budget
        and value.behind_s > 1 / value.rate + value.settle + LATE_AFTER_S
    ]
    if late:
        longest_s = max(value.behind_s for value in late)
        yield Alert("bad", f"not released for up to {duration(longest_s)}: {_names(late)}")


def _names(values: Sequence[ValueFigures]) -> str:
    names = ", ".join(value.name for value in values[:MOST_NAMED])
    rest = len(values) - MOST_NAMED
    return f"{names} and {rest} more" if rest > 0 else names
