"""The publisher's loop: read, fold, apply, release, confirm; sleep until the next of them."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from holdfast.config import Settings
from holdfast.errors import KafkaUnavailableError, LogStartError, UnavailableError
from holdfast.idempotency import KAFKA_HEADER
from holdfast.log_start import start_offset
from holdfast.logs import Log, Logs
from holdfast.state import Fold, Lost, Owed, Partition, Released, State, Wait
from holdfast.values import HOME_TOPIC, Rules, Values
from publisher import metrics
from publisher.announce import Announcement, Announcer
from publisher.aside import set_aside
from publisher.confirms import Confirms
from publisher.fold import Batch, Record, Rejected, Step, fold, series, sort_records
from publisher.partitions import Owned
from publisher.schedule import Schedule

log = logging.getLogger(__name__)

BATCH = 10_000  # records
BEAT_S = 1.0
REFUSED_RETRY_S = 5.0
REPLAY_PAUSE_S = 0.05
# A value whose last release still waits to be announced is looked at again this much later.
ANNOUNCE_PAUSE_S = 0.002
RELEASE_BATCH = 500  # values in one round trip
# A rate that an operator raises must count at once, however long the old one made us wait.
LONGEST_WAIT_S = 1.0
# An announcement that was not noted in Redis is looked after this much later.
RECHECK_S = 5.0
MAX_AGE_S = 300  # of the edge's copies: Surrogate-Control in origin/answers.py

Name = tuple[Partition, str]


class Rewind(Exception):
    """Redis knows less of a partition than this publisher has applied."""


class Publisher:
    """One member of the group of publishers.

    clock: seconds that only go forward; wall: seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        values: Values,
        state: State,
        logs: Logs,
        consumer: Consumer,
        producer: Producer,
        announcer: Announcer,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._values = values
        self._state = state
        self._logs = logs
        self._consumer = consumer
        self._producer = producer
        self._announcer = announcer
        self._clock = clock
        self._wall = wall
        self._owned: dict[Partition, Owned] = {}
        self._reading: set[Partition] = set()
        self._refused: dict[Partition, float] = {}
        self._pending: Schedule[Name] = Schedule()
        self._repurges: Schedule[str] = Schedule()
        self._topic_ids: dict[str, Future[Any]] = {}
        self._confirms = Confirms()
        self._beat_at = 0.0
        self._backoff_s = 0.0
        self.stepped_at = clock()

    @property
    def leads(self) -> bool:
        """Whether this publisher does what one of the group has to do for all."""
        return Partition(HOME_TOPIC, 0) in self._owned

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set. Redis and Kafka may come, go and come back meanwhile."""
        self.subscribe()
        while not stopping.is_set():
            try:
                self.step()
                self._backoff_s = 0.0
            except (KafkaUnavailableError, KafkaException) as error:
                metrics.KAFKA_ERRORS.inc()
                log.warning("%s; trying again", error)
                stopping.wait(0.5)
            except UnavailableError as error:
                metrics.REDIS_ERRORS.inc()
                self._backoff_s = min(1.0, 0.05 + 2 * self._backoff_s)
                log.warning("%s; trying again", error)
                stopping.wait(random.uniform(0.5, 1.0) * self._backoff_s)  # noqa: S311

    def subscribe(self) -> None:
        """Join the group; it assigns partitions within a later step."""
        self._consumer.subscribe(
            list(self._values.topics),
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )

    def caught_up(self, partition: Partition) -> bool:
        """Whether this publisher reads the partition and may release its values."""
        return partition in self._reading and self._owned[partition].caught_up

    def step(self) -> None:
        """One turn. Raises UnavailableError or KafkaException when one of them does not answer."""
        try:
            self._turn()
        except (UnavailableError, KafkaException):
            # Whatever was under way is read again: a replay changes nothing.
            self._reading.clear()
            raise

    def _turn(self) -> None:
        if not self._reading:
            # Redis may be away for long: the group puts out who does not poll for five minutes
            # (max.poll.interval.ms). What comes is read again, from where Redis says.
            self._consumer.poll(0)
        self._start_reading()
        batches, ends = self._read()
        for partition, records in batches.items():
            if partition not in self._reading:
                continue
            try:
                self._apply(self._owned[partition], records)
            except Rewind:
                self._rewind(partition)
        # Only now: an end lies behind the records that came with it.
        for partition, end in ends.items():
            if partition in self._reading:
                self._pass_end(self._owned[partition], end)
        announcements: list[Announcement] = []
        try:
            self._release(announcements)
            # A heartbeat vouches for what is released by now. Whoever hears of a release asks the
            # origin, so it is ready by then.
            self._beat()
        finally:
            if announcements:
                self._announcer.announce(announcements)
        self._confirm()
        self.stepped_at = self._clock()

    # -- which partitions, from where

    def _on_assign(self, consumer: Consumer, assigned: Sequence[TopicPartition]) -> None:
        """Take note; reading starts once Redis has said from where."""
        consumer.assign([])
        self._reading.clear()
        self._refused.clear()
        self._owned = {
            partition: Owned(partition, 0)
            for partition in (Partition(part.topic, part.partition) for part in assigned)
        }
        log.info("assigned %s", _describe(self._owned))

    def _on_revoke(self, _consumer: Consumer, _revoked: Sequence[TopicPartition]) -> None:
        for owned in self._owned.values():
            for name in owned.names:
                self._pending.drop((owned.partition, name))
                self._repurges.drop(name)
                self._confirms.drop(name)
        log.info("gave up %s", _describe(self._owned))
        self._owned = {}
        self._reading.clear()

    def _start_reading(self) -> None:
        now = self._clock()
        waiting = [
            owned
            for partition, owned in self._owned.items()
            if partition not in self._reading and self._refused.get(partition, 0.0) <= now
        ]
        if not waiting:
            return
        logs = self._logs.look(owned.partition for owned in waiting)
        for owned in waiting:
            self._find_start(owned, logs[owned.partition], now)
        metrics.REFUSED.set(len(self._refused))
        self._consumer.assign(
            [
                TopicPartition(partition.topic, partition.number, self._owned[partition].position)
                for partition in self._reading
            ]
        )

    def _find_start(self, owned: Owned, found: Log, now: float) -> None:
        partition = owned.partition
        known = self._state.known(partition)
        try:
            owned.position = start_offset(partition, known, found)
        except LogStartError as error:
            if partition not in self._refused:
                log.error("%s", error)
            self._refused[partition] = now + REFUSED_RETRY_S
            return
        self._refused.pop(partition, None)
        if known.topic_id is None:
            self._state.note_topic(partition, found.topic_id)
        owned.log_start, owned.replay_to = found.low, found.high
        owned.topic_id = found.topic_id
        owned.vouched = False
        owned.partitions = found.partitions
        # Also after a failure: the call that failed may have done its work, and a Redis that was
        # rolled back has forgotten releases that this publisher thinks are announced.
        if not owned.inherited:
            self._inherit(owned, now)
        for name in self._state.dirty(partition):
            owned.names.add(name)
            self._pending.soonest((partition, name), now)
        self._reading.add(partition)

    def _inherit(self, owned: Owned, now: float) -> None:
        """Take over what a former owner, or this one on a former Redis, may not have finished."""
        recent, forgotten = [], []
        wall_ms = self._wall() * 1000
        for name, version, released_at_ms in self._state.released(owned.partition):
            owned.names.add(name)
            announced = self._confirms.version(name)
            if announced is not None and announced > version:
                # The same value may come out of the replay: it needs a version above what was
                # shown meanwhile.
                forgotten.append((name, announced))
                continue
            # Confirmed soon, however old: viewers may have seen what this Redis knows nothing of.
            self._confirms.released(name, version, text=self._is_default(name), at=now, now=now)
            if wall_ms - released_at_ms < MAX_AGE_S * 1000:
                recent.append((name, version))
        if forgotten:
            self._state.reissue(owned.partition, forgotten)
        if recent:
            # An edge may have missed these, and only the former owner knew.
            self._announcer.purge(recent)
        owned.inherited = True

    def _rewind(self, partition: Partition) -> None:
        metrics.REWINDS.labels(partition.topic).inc()
        log.warning(
            "Redis restarted, or lost state of %s[%d]: going on from what it knows",
            partition.topic,
            partition.number,
        )
        self._reading.discard(partition)
        self._owned[partition].inherited = False

    def _watch_topics(self) -> None:
        """Notice a topic that was deleted and created again: its offsets mean other records.

        Asks about once a second and looks at the answers when they are there: nobody waits.
        """
        if not all(answer.done() for answer in self._topic_ids.values()):
            return
        for topic, answer in self._topic_ids.items():
            if answer.exception() is not None:
                continue  # Kafka is away, or the topic is: whoever reads it is told
            topic_id = str(answer.result().topic_id)
            for partition in list(self._reading):
                if partition.topic == topic and self._owned[partition].topic_id != topic_id:
                    log.warning("%s was re-created: looking at its log again", topic)
                    self._reading.discard(partition)
        topics = {partition.topic for partition in self._reading}
        self._topic_ids = self._logs.ask_ids(topics) if topics else {}

    # -- reading

    def _read(self) -> tuple[dict[Partition, list[Record]], dict[Partition, int]]:
        """What has come, and the ends that were met; waits for it until something else is due."""
        batches: dict[Partition, list[Record]] = {}
        ends: dict[Partition, int] = {}
        first = self._consumer.poll(self._pause_s())
        if first is None:
            return batches, ends
        # consume() waits its whole timeout to fill the batch, so: wait for one, take the rest.
        for message in (first, *self._consumer.consume(BATCH - 1, 0)):
            error = message.error()
            if error is None:
                partition, record = _record(message)
                batches.setdefault(partition, []).append(record)
            elif error.code() == KafkaError._PARTITION_EOF:
                end: Any = message.offset()
                ends[_partition(message)] = end
            else:
                self._on_message_error(message, error)
        return batches, ends

    def _pause_s(self) -> float:
        if len(self._reading) < len(self._owned) - len(self._refused):
            return 0.0
        dues = (self._pending.next(), self._confirms.next(), self._repurges.next(), self._beat_at)
        due = min(due for due in dues if due is not None)
        return min(BEAT_S, max(0.0, due - self._clock()))

    def _on_message_error(self, message: Any, error: KafkaError) -> None:
        metrics.KAFKA_ERRORS.inc()
        log.warning("Kafka: %s", error)
        if message.topic() is not None and message.partition() is not None:
            # Finding the start again tells what is wrong, and refuses if it is the log itself.
            self._reading.discard(_partition(message))

    def _pass_end(self, owned: Owned, end: int) -> None:
        """The end may lie beyond the last record: transactions and compaction leave holes."""
        if end <= owned.position:
            return
        rewind = self._state.advance(owned.partition, owned.log_start, owned.position, end)
        if rewind is None:
            owned.position = end
        else:
            self._rewind(owned.partition)

    # -- applying

    def _apply(self, owned: Owned, records: list[Record]) -> None:
        """Apply a batch whole. Raises Rewind."""
        records = [record for record in records if record.offset >= owned.position]
        if not records:
            return
        partition = owned.partition
        metrics.RECORDS.labels(partition.topic).inc(len(records))
        batch = sort_records(partition.topic, records, self._values)
        metrics.IGNORED.labels(partition.topic).inc(batch.ignored)
        rejected = (
            batch.rejected + self._apply_keyed(owned, batch) + self._apply_plain(owned, batch)
        )
        self._set_aside(partition, rejected)
        next_offset = records[-1].offset + 1
        rewind = self._state.advance(partition, owned.log_start, owned.position, next_offset)
        if rewind is not None:
            raise Rewind
        owned.position = next_offset
        now = self._clock()
        for name in batch.steps:
            owned.names.add(name)
            self._pending.soonest((partition, name), now)

    def _apply_keyed(self, owned: Owned, batch: Batch) -> list[Rejected]:
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
                self._settings.idempotency_keys,
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

    def _apply_plain(self, owned: Owned, batch: Batch) -> list[Rejected]:
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

    # -- what is due

    def _beat(self) -> None:
        """Once a second: does Redis still know what was applied? If so, vouch for it."""
        now = self._clock()
        reading = [self._owned[partition] for partition in self._reading]
        replayed = any(owned.caught_up and not owned.vouched for owned in reading)
        if now < self._beat_at and not replayed:
            return
        self._beat_at = now + BEAT_S
        self._watch_topics()
        reading = [owned for owned in reading if owned.partition in self._reading]
        for owned in reading:
            partition = owned.partition
            owned.run_id, rewind = self._state.heartbeat(
                partition,
                owned.log_start,
                owned.position,
                owned.partitions,
                owned.caught_up,
                owned.run_id,
            )
            owned.vouched = owned.caught_up and rewind is None
            if rewind is not None:
                self._rewind(partition)

    def _release(self, announcements: list[Announcement]) -> None:
        """Release what is due and may be released; adds what is to be announced of it."""
        now = self._clock()
        due: dict[Partition, list[Rules]] = {}
        for partition, name in self._pending.take(now):
            owned = self._owned.get(partition)
            rules = self._values.rules(name)
            if owned is None or rules is None:
                continue
            if not self.caught_up(partition):
                self._pending.set((partition, name), now + REPLAY_PAUSE_S)
            elif self._announcer.waits(name):
                self._pending.set((partition, name), now + ANNOUNCE_PAUSE_S)
            else:
                due.setdefault(partition, []).append(rules)
        for partition, values in due.items():
            for start in range(0, len(values), RELEASE_BATCH):
                batch = values[start : start + RELEASE_BATCH]
                announcements.extend(self._release_batch(partition, batch))

    def _release_batch(
        self, partition: Partition, values: Sequence[Rules]
    ) -> Iterator[Announcement]:
        now = self._clock()
        for rules in values:  # if Redis fails now, all of them are still due
            self._pending.set((partition, rules.name), now)
        results = self._state.release(
            partition,
            values,
            position=self._owned[partition].position,
            budget_rate=self._settings.budget_rate,
            budget_burst=self._settings.budget_burst,
        )
        for rules, result in zip(values, results, strict=True):
            key = (partition, rules.name)
            if isinstance(result, Lost):
                if partition in self._reading:
                    self._rewind(partition)
                continue
            self._pending.drop(key)
            if isinstance(result, Wait):
                self._pending.set(key, now + min(LONGEST_WAIT_S, result.ms / 1000))
            elif isinstance(result, Released | Owed):
                self._pending.set(key, now + RECHECK_S)
                yield self._announcement(partition, rules, result, now)

    def _announcement(
        self, partition: Partition, rules: Rules, result: Released | Owed, now: float
    ) -> Announcement:
        text = self._is_default(rules.name)
        if isinstance(result, Released):
            metrics.RELEASES.inc()
            version, snapshot = result.snapshot.version, result.snapshot
        else:
            version, snapshot = result.version, None
        self._confirms.released(rules.name, version, text=text, at=now, now=now)
        if self._settings.repurge_after:
            self._repurges.set(rules.name, now + self._settings.repurge_after)
        return Announcement(partition, rules.name, version, text, snapshot)

    def _confirm(self) -> None:
        now = self._clock()
        again = [
            (name, version)
            for name in self._repurges.take(now)
            if (version := self._confirms.version(name)) is not None
        ]
        if again:
            self._announcer.purge(again)
        publications = self._confirms.take(now)
        if publications:
            self._announcer.confirm(publications)

    def _is_default(self, name: str) -> bool:
        return name == self._values.default.name


def _partition(message: Any) -> Partition:
    return Partition(message.topic(), message.partition())


def _record(message: Any) -> tuple[Partition, Record]:
    idempotency_key = None
    for name, value in message.headers() or ():
        if name == KAFKA_HEADER:
            idempotency_key = value or b""
            break
    return _partition(message), Record(
        message.offset(), message.timestamp()[1], message.key(), message.value(), idempotency_key
    )


def _overflow(rules: Rules, step: Step) -> Rejected:
    update = step.update.encode(rules.reduce)
    record = Record(step.offset, step.timestamp, rules.name.encode(), update)
    return Rejected(record, "the sum would leave 64 bits")


def _describe(partitions: Iterable[Partition]) -> str:
    return ", ".join(f"{part.topic}[{part.number}]" for part in partitions) or "nothing"
