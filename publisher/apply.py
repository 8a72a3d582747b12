"""Applying: a batch of one partition becomes changes of values in Redis, each record once."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import Producer

from holdfast.state import Fold, Partition, State
from holdfast.values import Rules, Values
from publisher import metrics
from publisher.activity import Activity
from publisher.aside import set_aside
from publisher.fold import Batch, Record, Rejected, Step, fold, series, sort_records
from publisher.partitions import Owned
from publisher.trail import Trail


class Rewind(Exception):
    """Redis knows less of a partition than this publisher has applied."""


class Applier:
    """Applies batches. most_keys: idempotency keys remembered per value."""

    def __init__(
        self,
        values: Values,
        state: State,
        producer: Producer,
        most_keys: int,
        trail: Trail,
        activity: Activity | None = None,
    ) -> None:
        self._trail = trail
        self._values = values
        self._state = state
        self._producer = producer
        self._most_keys = most_keys
        self._activity = activity or Activity()

    def apply(self, owned: Owned, records: Sequence[Record]) -> list[str]:
        """Apply a batch whole; the names that may have changed. Raises Rewind.

        Raises UnavailableError when Redis or Kafka fails in between: apply it again.
        """
        records = [record for record in records if record.offset >= owned.position]
        if not records:
            return []
        partition = owned.partition
        metrics.RECORDS.labels(partition.topic).inc(len(records))
        batch = sort_records(partition.topic, records, self._values)
        metrics.IGNORED.labels(partition.topic).inc(batch.ignored)
        rejected = batch.rejected + self._keyed(owned, batch) + self._plain(owned, batch)
        self._set_aside(partition, rejected)
        next_offset = records[-1].offset + 1
        rewind = self._state.advance(partition, owned.log_start, owned.position, next_offset)
        if rewind is not None:
            raise Rewind
        if not owned.rebuilding or owned.caught_up:
            for name, steps in batch.steps.items():
                first, last = steps[0], steps[-1]
                self._trail.applied(partition, name, first.offset, last.offset, first.timestamp)
        owned.position = next_offset
        owned.names.update(batch.steps)
        self._activity.updates(
            ((name, len(steps)) for name, steps in batch.steps.items()),
            sum(map(len, batch.steps.values())),
        )
        return list(batch.steps)

    def _keyed(self, owned: Owned, batch: Batch) -> list[Rejected]:
        """Apply the values with idempotency keys, unfolded: some updates may be duplicates."""
        if not batch.keyed:
            return []
        rejected: list[Rejected] = []
        names = sorted(batch.keyed)
        all_series = [series(batch.rules[name], batch.steps[name]) for name in names]
        for name, counted in zip(
            names,
            self._state.apply_each(
                owned.partition,
                owned.log_start,
                owned.position,
                all_series,
                self._most_keys,
            ),
            strict=True,
        ):
            if counted is None:
                raise Rewind
            metrics.DUPLICATES.labels(owned.partition.topic).inc(counted.duplicates)
            rejected.extend(
                _overflow(batch.rules[name], step)
                for step in batch.steps[name]
                if step.offset in counted.overflows
            )
        return rejected

    def _plain(self, owned: Owned, batch: Batch) -> list[Rejected]:
        """Apply each value's steps as one fold, or one by one where a sum would overflow."""
        rejected: list[Rejected] = []
        todo: list[tuple[Rules, list[Step]]] = [
            (batch.rules[name], steps)
            for name, steps in batch.steps.items()
            if name not in batch.keyed
        ]
        while todo:
            folds: list[Fold] = []
            sources: list[tuple[Rules, list[Step]]] = []
            again: list[tuple[Rules, list[Step]]] = []
            for rules, steps in todo:
                whole = fold(rules, owned.partition.number, steps)
                if whole is None:
                    again.extend((rules, [step]) for step in steps)
                    continue
                folds.append(whole)
                sources.append((rules, steps))
            words = self._state.apply(owned.partition, owned.log_start, owned.position, folds)
            for (rules, steps), (word, offset) in zip(sources, words, strict=True):
                if word == "REWIND":
                    raise Rewind
                if word == "PARTIAL":
                    again.append((rules, [step for step in steps if step.offset >= offset]))
                elif word == "OVERFLOW":
                    again.extend((rules, [step]) for step in steps)
                elif word == "REJECTED":
                    rejected.append(_overflow(rules, steps[0]))
            todo = again
        return rejected

    def _set_aside(self, partition: Partition, rejected: Sequence[Rejected]) -> None:
        """Copy malformed records to the rejected topic before the offset moves past them."""
        if rejected:
            set_aside(self._producer, partition, rejected)
            metrics.REJECTED.labels(partition.topic).inc(len(rejected))


def _overflow(rules: Rules, step: Step) -> Rejected:
    update = step.update.encode(rules.reduce)
    record = Record(step.offset, step.timestamp, rules.name.encode(), update)
    return Rejected(record, "the sum would leave 64 bits")
