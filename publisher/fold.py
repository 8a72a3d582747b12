"""Folding: all updates of a value in a batch become one change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from holdfast.errors import UpdateError
from holdfast.idempotency import digest
from holdfast.state import EachUpdate, Fold, Series
from holdfast.updates import INT64_MAX, INT64_MIN, OPERATION, Update, parse_record
from holdfast.values import HOME_TOPIC, NAME, Rules, Values


class Record(NamedTuple):
    """A Kafka record as far as folding knows it. timestamp: ms since 1970.

    idempotency_key: of the header of that name, None without one.
    """

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    idempotency_key: bytes | None = None


class Step(NamedTuple):
    """One update of one value, at its place in the partition."""

    offset: int
    timestamp: int
    update: Update
    digest: bytes = b""


class Rejected(NamedTuple):
    """A record that updates nothing because it is malformed."""

    record: Record
    reason: str


@dataclass(slots=True)
class Batch:
    """The updates of one batch of one partition, by value.

    keyed: the values of which some update carries an idempotency key.
    """

    steps: dict[str, list[Step]] = field(default_factory=dict)
    rules: dict[str, Rules] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    keyed: set[str] = field(default_factory=set)
    ignored: int = 0


def sort_records(topic: str, records: Iterable[Record], values: Values) -> Batch:
    """Sort a batch's records by value. Malformed ones land in `rejected`, never raise."""
    batch = Batch()
    targets: dict[bytes | None, Rules | str] = {}
    for record in records:
        target = targets.get(record.key)
        if target is None:
            target = targets[record.key] = _target(topic, record.key, values)
        if isinstance(target, str):
            # A foreign topic serves others too: what is nobody's here is no fault.
            if topic == HOME_TOPIC:
                batch.rejected.append(Rejected(record, target))
            else:
                batch.ignored += 1
            continue
        try:
            update = parse_record(record.value, target)
            key = digest(record.idempotency_key)
        except UpdateError as error:
            batch.rejected.append(Rejected(record, error.detail))
            continue
        steps = batch.steps.get(target.name)
        if steps is None:
            steps = batch.steps[target.name] = []
            batch.rules[target.name] = target
        steps.append(Step(record.offset, record.timestamp, update, key))
        if key:
            batch.keyed.add(target.name)
    return batch


def _target(topic: str, key: bytes | None, values: Values) -> Rules | str:
    if key is None:
        return "the record has no key"
    try:
        name = key.decode("ascii")
    except UnicodeDecodeError:
        return "the key is not a value's name"
    if topic == HOME_TOPIC and not NAME.fullmatch(name):
        return "the key is not a value's name"
    return values.target(topic, name) or "no value has this name"


def fold(rules: Rules, partition: int, steps: Sequence[Step]) -> Fold | None:
    """The fold of `steps` (not empty, in offset order); None when a prefix leaves 64 bits."""
    change: tuple[str | bytes, ...]
    if rules.reduce == "sum":
        total = low = high = 0
        for step in steps:
            total += step.update.add
            low = min(low, total)
            high = max(high, total)
        # Up to the highest prefix, down to the lowest, on to the total: HINCRBY refuses a step
        # exactly when some prefix would leave 64 bits.
        moves = (high, low - high, total - low)
        if any(not INT64_MIN < move <= INT64_MAX for move in moves) and len(steps) > 1:
            return None
        change = ("add", *(str(move) for move in moves))
    else:
        newest = max(steps, key=lambda step: (step.timestamp, step.offset))
        stamp = f"{newest.timestamp} {partition} {newest.offset}"
        change = ("set", newest.update.json, stamp)
    return Fold(
        name=rules.name,
        first=steps[0].offset,
        next=steps[-1].offset + 1,
        change=change,
        single=len(steps) == 1,
    )


def series(rules: Rules, steps: Sequence[Step]) -> Series:
    """`steps` (not empty, in offset order) unfolded, for a value whose updates carry keys."""
    return Series(
        name=rules.name,
        operation=OPERATION[rules.reduce],
        updates=tuple(
            EachUpdate(
                step.offset,
                step.timestamp,
                step.digest,
                b"%d" % step.update.add if rules.reduce == "sum" else step.update.json,
            )
            for step in steps
        ),
    )
