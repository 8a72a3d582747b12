"""Reads events back from Kafka, for viewers who are further behind than Redis remembers.

Kafka's client is imported with the first read, as in produce.py.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from holdfast.errors import KafkaUnavailableError, UnavailableError
from holdfast.kafka import Cluster
from holdfast.records import headers
from holdfast.state import Partition

if TYPE_CHECKING:
    from confluent_kafka import Consumer

    from holdfast.logs import Log, Logs

CONSUMERS = 4  # at most as many reads at once; others wait
# As many may wait, each on one of gunicorn's threads; more are refused at once. Waiting and reading
# end well before the edge gives up on an answer, by which it would call the whole origin sick.
WAITERS = 8
WAIT_S = 1.0
PATIENCE_S = 3.0
BATCH = 500
CACHE_S = 1.0


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka record as it is read back."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Any


@dataclass(frozen=True, slots=True)
class Done:
    """A partition was read to where it was asked for, whatever its last records were."""

    partition: int


class GoneError(Exception):
    """Records that were asked for are not in the log any more."""


class Replay:
    """Kafka for the origin's readers. Connects when first used, in the process that asks.

    fetch_wait_ms: how long the end of a log is waited for, where it is no record.
    """

    def __init__(self, cluster: Cluster, fetch_wait_ms: int = 100) -> None:
        self._cluster = cluster
        self._fetch_wait_ms = fetch_wait_ms
        self._logs: Logs | None = None
        self._idle: queue.LifoQueue[Consumer | None] = queue.LifoQueue()
        for _ in range(CONSUMERS):
            self._idle.put(None)
        self._room = threading.BoundedSemaphore(CONSUMERS + WAITERS)
        self._topics: tuple[float, Mapping[str, int]] = (0.0, {})

    def topics(self) -> Mapping[str, int]:
        """Every topic that there is, and its number of partitions; up to a second old."""
        until, topics = self._topics
        if time.monotonic() > until:
            topics = self._admin().topics()
            self._topics = (time.monotonic() + CACHE_S, topics)
        return topics

    def ends(self, topic: str, partitions: int) -> list[Log]:
        """The logs of a topic's partitions, by number."""
        wanted = [Partition(topic, number) for number in range(partitions)]
        found = self._admin().look(wanted)
        return [found[part] for part in wanted]

    def offsets_at(self, topic: str, partitions: int, at_ms: int) -> list[int | None]:
        """Per partition the first offset from the time `at_ms` on; None: nothing came since."""
        from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

        wanted = [Partition(topic, number) for number in range(partitions)]
        spec = OffsetSpec.for_timestamp(at_ms)
        found = self._admin().offsets(wanted, spec)
        return [None if found[part] < 0 else found[part] for part in wanted]

    def read(
        self, topic: str, start: Mapping[int, int], end: Mapping[int, int]
    ) -> Generator[Record | Done, None, None]:
        """The records of each partition from `start` to before `end`, in their order.

        Ends early when Kafka is slow, but then with some records. Raises GoneError; or
        UnavailableError, before the first record.
        """
        from confluent_kafka import TopicPartition

        left = {number: offset for number, offset in start.items() if offset < end[number]}
        deadline = time.monotonic() + PATIENCE_S
        some = False
        with self._consumer() as consumer:
            consumer.assign([TopicPartition(topic, number, left[number]) for number in left])
            while left:
                messages: list[Any] = consumer.consume(BATCH, 0.0)
                if not messages:
                    first = consumer.poll(max(0.0, min(1.0, deadline - time.monotonic())))
                    messages = [] if first is None else [first]
                for message in messages:
                    if message.topic() != topic and message.topic() is not None:
                        continue  # left behind by an earlier read
                    number, offset = message.partition(), message.offset()
                    at_end = _is_end(message)
                    if not at_end:
                        record = _record(message)
                        if number not in start or offset < start[number]:
                            continue
                        if offset < end[number]:
                            some = True
                            yield record
                        offset += 1
                    # The last offset may be a marker of a transaction: no record, but passed over.
                    if number in left and offset >= end[number]:
                        del left[number]
                        some = True
                        yield Done(number)
                if left and time.monotonic() > deadline:
                    if some:
                        return
                    raise KafkaUnavailableError(f"{topic} is not delivered")

    @contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        if not self._room.acquire(blocking=False):
            raise UnavailableError("too many reads of Kafka at once")
        try:
            with self._pooled() as consumer:
                yield consumer
        finally:
            self._room.release()

    @contextmanager
    def _pooled(self) -> Iterator[Consumer]:
        from confluent_kafka import KafkaException

        try:
            consumer = self._idle.get(timeout=WAIT_S)
        except queue.Empty:
            raise UnavailableError("reads of Kafka take too long") from None
        try:
            consumer = consumer or self._connect()
            yield consumer
        except KafkaException as error:
            raise KafkaUnavailableError(str(error)) from error
        finally:
            self._idle.put(consumer if consumer is None else _let_go(consumer))

    def _connect(self) -> Consumer:
        from confluent_kafka import Consumer

        own = {
            # Needed, but never joined: partitions are assigned by hand.
            "group.id": "holdfast-replay",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "queued.max.messages.kbytes": 4_096,
            "fetch.wait.max.ms": self._fetch_wait_ms,
        }
        return Consumer(self._cluster.client(own))

    def _admin(self) -> Logs:
        if self._logs is None:
            from holdfast.logs import Logs

            self._logs = Logs(self._cluster)
        return self._logs


def _let_go(consumer: Consumer) -> Consumer | None:
    """The consumer for the next read; None when it is of no use any more."""
    from confluent_kafka import KafkaException

    try:
        consumer.unassign()
    except (KafkaException, RuntimeError):
        return None  # librdkafka closes it when nobody holds it
    return consumer


def _is_end(message: Any) -> bool:
    """Whether it says that nothing is left in the partition before its offset."""
    error = message.error()
    if error is None:
        return False
    from confluent_kafka import KafkaError

    at_end: bool = error.code() == KafkaError._PARTITION_EOF
    return at_end


def _record(message: Any) -> Record:
    error = message.error()
    if error is None:
        return Record(
            message.partition(), message.offset(), message.key(), message.value(), headers(message)
        )
    if error.code() in _gone():
        raise GoneError(str(error))
    raise KafkaUnavailableError(str(error))


@cache
def _gone() -> frozenset[int]:
    """What Kafka says where an offset is not in the log, or a topic or partition not there."""
    from confluent_kafka import KafkaError

    return frozenset(
        (
            KafkaError._AUTO_OFFSET_RESET,
            KafkaError.OFFSET_OUT_OF_RANGE,
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            KafkaError._UNKNOWN_TOPIC,
            KafkaError._UNKNOWN_PARTITION,
        )
    )
