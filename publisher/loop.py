"""The publisher's loop: read, apply, release, confirm; sleep until the next of them."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from holdfast.config import Settings
from holdfast.errors import KafkaUnavailableError, LogStartError, UnavailableError
from holdfast.idempotency import KAFKA_HEADER
from holdfast.log_start import start_offset
from holdfast.logs import Log, Logs
from holdfast.records import headers, high_watermark
from holdfast.state import Partition, State
from holdfast.values import HOME_TOPIC, Values
from publisher import metrics
from publisher.activity import Activity
from publisher.announce import Announcement, Announcer
from publisher.apply import Applier, Rewind
from publisher.fold import Record
from publisher.partitions import Owned, Standing
from publisher.release import Releaser
from publisher.trail import Trail
from publisher.tuner import PARTITION as SETTINGS
from publisher.tuner import Tuner

log = logging.getLogger(__name__)

BATCH = 10_000  # records
BEAT_S = 1.0
REFUSED_RETRY_S = 5.0
SETTINGS_RETRY_S = 1.0


class Publisher:
    """One member of the group of publishers.

    clock: seconds that only go forward; wall: seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        values: Values,
        state: State,
        tuner: Tuner,
        logs: Logs,
        consumer: Consumer,
        producer: Producer,
        announcer: Announcer,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._topics = values.topics
        self._state = state
        self._logs = logs
        self._consumer = consumer
        self._announcer = announcer
        self._clock = clock
        self._wall = wall
        self._owned: dict[Partition, Owned] = {}
        self._reading: set[Partition] = set()
        self._refused: dict[Partition, float] = {}
        self.activity = Activity()
        trail = Trail()
        self._applier = Applier(
            values, state, producer, settings.idempotency_keys, trail, self.activity
        )
        self._tuner = tuner
        self._settings_at = 0.0
        self._releaser = Releaser(
            settings, values, state, tuner, announcer, trail, clock, self.activity
        )
        self._topic_ids: dict[str, Future[Any]] = {}
        self._beat_at = 0.0
        self._backoff_s = 0.0
        self.stepped_at = clock()

    @property
    def leads(self) -> bool:
        """Whether this publisher does what one of the group has to do for all."""
        return Partition(HOME_TOPIC, 0) in self._owned

    def standing(self) -> list[Standing]:
        """Where it stands in its partitions; from any thread."""
        return [
            Standing(
                partition,
                owned.partitions,
                owned.position,
                owned.caught_up and partition in self._reading,
                partition in self._refused,
            )
            for partition, owned in tuple(self._owned.items())
        ]

    def behind(self) -> dict[Partition, int]:
        """Records that each partition which is read has left, as far as Kafka has told.

        For any thread.
        """
        left = {}
        for partition in list(self._reading):
            owned = self._owned.get(partition)
            end = high_watermark(self._consumer, partition)
            if owned is not None and end is not None:
                left[partition] = max(0, end - owned.position)
        return left

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
            list(self._topics),
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
            self._tuner.reading = False
            raise

    def _turn(self) -> None:
        if not self._reading and not self._tuner.reading:
            # Redis may be away for long: the group puts out who does not poll for five minutes
            # (max.poll.interval.ms). What comes is read again, from where Redis says.
            self._consumer.poll(0)
        self._start_reading()
        batches, ends = self._read()
        self._tune(batches.pop(SETTINGS, []), ends.pop(SETTINGS, 0))
        for partition, records in batches.items():
            if partition not in self._reading:
                continue
            try:
                names = self._applier.apply(self._owned[partition], records)
                self._releaser.changed(partition, names)
            except Rewind:
                self._rewind(partition)
        # Only now: an end lies behind the records that came with it.
        for partition, end in ends.items():
            if partition in self._reading:
                self._pass_end(self._owned[partition], end)
        self._tuner.mirror()
        announcements: list[Announcement] = []
        try:
            for partition in self._releaser.release(self._owned, self.caught_up, announcements):
                self._rewind(partition)
            # A heartbeat vouches for what is released by now. Whoever hears of a release asks the
            # origin, so it is ready by then.
            self._beat()
        finally:
            if announcements:
                self._announcer.announce(announcements)
        self._releaser.confirm()
        self.stepped_at = self._clock()

    # -- which partitions, from where

    def _on_assign(self, consumer: Consumer, assigned: Sequence[TopicPartition]) -> None:
        """Take note; reading starts once Redis has said from where."""
        consumer.assign([])
        self._reading.clear()
        self._tuner.reading = False
        self._refused.clear()
        self._owned = {
            partition: Owned(partition, 0)
            for partition in (Partition(part.topic, part.partition) for part in assigned)
        }
        log.info("assigned %s", _describe(self._owned))

    def _on_revoke(self, _consumer: Consumer, _revoked: Sequence[TopicPartition]) -> None:
        for owned in self._owned.values():
            self._releaser.forget(owned)
        log.info("gave up %s", _describe(self._owned))
        self._owned = {}
        self._reading.clear()
        self._tuner.reading = False

    def _start_reading(self) -> None:
        now = self._clock()
        waiting = [
            owned
            for partition, owned in self._owned.items()
            if partition not in self._reading and self._refused.get(partition, 0.0) <= now
        ]
        settings = not self._tuner.reading and self._owned and self._settings_at <= now
        if not waiting and not settings:
            return
        self._start_settings(now)
        logs = self._logs.look(owned.partition for owned in waiting) if waiting else {}
        for owned in waiting:
            self._find_start(owned, logs[owned.partition], now)
        metrics.REFUSED.set(len(self._refused))
        starts = {partition: self._owned[partition].position for partition in self._reading}
        if self._tuner.reading:
            starts[SETTINGS] = self._tuner.seen
        self._consumer.assign(
            [
                TopicPartition(partition.topic, partition.number, offset)
                for partition, offset in starts.items()
            ]
        )

    def _start_settings(self, now: float) -> None:
        """Whoever starts or starts again must know what operators have set by now."""
        try:
            self._tuner.start(self._logs.look([SETTINGS])[SETTINGS])
        except KafkaUnavailableError as error:
            # Updates are applied all the same.
            self._tuner.reading = False
            self._settings_at = now + SETTINGS_RETRY_S
            metrics.KAFKA_ERRORS.inc()
            log.warning("the topic %s can't be read: %s; trying again", SETTINGS.topic, error)

    def _find_start(self, owned: Owned, found: Log, now: float) -> None:
        partition = owned.partition
        known = self._state.known(partition)
        before = owned.position
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
        owned.rebuilding = known.offset is None or known.offset < before
        owned.topic_id = found.topic_id
        owned.vouched = False
        owned.partitions = found.partitions
        # Also after a failure: the call that failed may have done its work, and a Redis that was
        # rolled back has forgotten releases that this publisher thinks are announced.
        if not owned.inherited:
            self._releaser.inherit(owned, self._wall() * 1000)
        dirty = self._state.dirty(partition)
        owned.names.update(dirty)
        self._releaser.changed(partition, dirty)
        self._reading.add(partition)

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
            if topic == SETTINGS.topic and not self._tuner.knows(topic_id):
                self._tuner.reading = False
        topics = {partition.topic for partition in self._reading}
        if self._tuner.reading:
            topics.add(SETTINGS.topic)
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
        next_release = self._releaser.next()
        due = self._beat_at if next_release is None else min(self._beat_at, next_release)
        return min(BEAT_S, max(0.0, due - self._clock()))

    def _on_message_error(self, message: Any, error: KafkaError) -> None:
        metrics.KAFKA_ERRORS.inc()
        log.warning("Kafka: %s", error)
        if message.topic() is not None and message.partition() is not None:
            # Finding the start again tells what is wrong, and refuses if it is the log itself.
            self._reading.discard(_partition(message))
            if _partition(message) == SETTINGS:
                self._tuner.reading = False
                self._settings_at = self._clock() + SETTINGS_RETRY_S

    def _pass_end(self, owned: Owned, end: int) -> None:
        """The end may lie beyond the last record: transactions and compaction leave holes."""
        if end <= owned.position:
            return
        rewind = self._state.advance(owned.partition, owned.log_start, owned.position, end)
        if rewind is None:
            owned.position = end
        else:
            self._rewind(owned.partition)

    def _tune(self, records: Sequence[Record], end: int) -> None:
        """What operators have set meanwhile counts from the next release on."""
        changed = self._tuner.take(records)
        self._tuner.pass_end(end)
        if changed:
            self._releaser.retune(changed, list(self._owned.values()), self._wall() * 1000)

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
        self._tuner.check()
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


def _partition(message: Any) -> Partition:
    return Partition(message.topic(), message.partition())


def _record(message: Any) -> tuple[Partition, Record]:
    idempotency_key = None
    for name, value in headers(message):
        if name == KAFKA_HEADER:
            idempotency_key = value or b""
            break
    return _partition(message), Record(
        message.offset(), message.timestamp()[1], message.key(), message.value(), idempotency_key
    )


def _describe(partitions: Iterable[Partition]) -> str:
    return ", ".join(f"{part.topic}[{part.number}]" for part in partitions) or "nothing"
