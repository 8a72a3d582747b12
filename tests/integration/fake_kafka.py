"""A Kafka in memory: what a publisher's consumer sees of it, and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from holdfast.logs import Log
from holdfast.operator_settings import TOPIC
from holdfast.state import Partition

SETTINGS = (TOPIC, 0)


class Message(NamedTuple):
    place: tuple[str, int]
    at: int
    time: int = 0
    body: tuple[bytes | None, bytes | None] = (None, None)
    fault: KafkaError | None = None
    idempotency_key: bytes | None = None

    def topic(self) -> str:
        return self.place[0]

    def partition(self) -> int:
        return self.place[1]

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return 1, self.time

    def key(self) -> bytes | None:
        return self.body[0]

    def value(self) -> bytes | None:
        return self.body[1]

    def headers(self) -> list[tuple[str, bytes]] | None:
        key = self.idempotency_key
        return None if key is None else [("idempotency-key", key)]

    def error(self) -> KafkaError | None:
        return self.fault


@dataclass
class FakeLog:
    """Topics, each with a list of messages per partition; offsets below `low` are deleted."""

    partitions: dict[tuple[str, int], list[Message]] = field(default_factory=dict)
    low: dict[tuple[str, int], int] = field(default_factory=dict)
    topic_id: str = "first"

    def __post_init__(self) -> None:
        self.partitions.setdefault(SETTINGS, [])

    def re_create(self, place: tuple[str, int]) -> None:
        """As if somebody deleted the topic and created it again."""
        self.partitions[place].clear()
        self.topic_id += "'"

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        time: int = 1000,
        idempotency_key: bytes | None = None,
    ) -> int:
        records = self.partitions.setdefault((topic, partition), [])
        body = (key, value)
        records.append(
            Message((topic, partition), len(records), time, body, idempotency_key=idempotency_key)
        )
        return len(records) - 1


class _Description(NamedTuple):
    topic_id: str


class FakeLogs:
    """What Kafka says of the logs, as holdfast.logs.Logs does."""

    def __init__(self, log: FakeLog) -> None:
        self.log = log

    def ask_ids(self, topics: Iterable[str]) -> dict[str, Future[Any]]:
        answers: dict[str, Future[Any]] = {topic: Future() for topic in topics}
        for answer in answers.values():
            answer.set_result(_Description(self.log.topic_id))
        return answers

    def look(self, partitions: Iterable[Partition]) -> dict[Partition, Log]:
        return {
            part: Log(
                low=self.log.low.get((part.topic, part.number), 0),
                high=len(self.log.partitions[part.topic, part.number]),
                topic_id=self.log.topic_id,
                partitions=sum(topic == part.topic for topic, _ in self.log.partitions),
            )
            for part in partitions
        }


class FakeConsumer:
    """The part of confluent_kafka.Consumer that a publisher uses; it never waits.

    most: how many messages one poll-and-consume gives. pauses: how long it might have waited.
    breaks: consume() raises that, once. says_eof: enable.partition.eof. refused: what is answered
    for a partition instead of its records.
    """

    def __init__(self, log: FakeLog, *, says_eof: bool = True) -> None:
        self.log = log
        self.says_eof = says_eof
        self.refused: dict[tuple[str, int], KafkaError] = {}
        self.most = 10_000
        self.pauses: list[float] = []
        self.breaks: KafkaError | None = None
        self._callbacks: dict[str, Any] = {}
        self._positions: dict[tuple[str, int], int] = {}
        self._ended: set[tuple[str, int]] = set()
        self._left = 0
        self._to_assign: list[TopicPartition] | None = None

    # -- the test's side

    def group_assigns(self, *partitions: tuple[str, int]) -> None:
        """At the next poll, as a rebalance comes."""
        self._to_assign = [TopicPartition(*place) for place in partitions]

    # -- the publisher's side

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self._callbacks = callbacks

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._positions = {(part.topic, part.partition): part.offset for part in partitions}
        self._ended.clear()

    def poll(self, timeout: float) -> Message | None:
        self.pauses.append(timeout)
        if self._to_assign is not None:
            assigned, self._to_assign = self._to_assign, None
            self._callbacks["on_revoke"](self, [])
            self._callbacks["on_assign"](self, assigned)
            return None
        self._left = self.most
        return self._next()

    def consume(self, most: int, timeout: float) -> list[Message]:
        if self.breaks is not None:
            error, self.breaks = self.breaks, None
            raise KafkaException(error)
        messages = []
        while len(messages) < most and (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> Message | None:
        if self._left <= 0:
            return None
        for place, position in self._positions.items():
            records = self.log.partitions[place]
            if place in self.refused:
                self._left -= 1
                return Message(place, position, fault=self.refused[place])
            if position < len(records):
                self._positions[place] += 1
                self._ended.discard(place)
                self._left -= 1
                return records[position]
            if self.says_eof and place not in self._ended:
                self._ended.add(place)
                return Message(place, position, fault=KafkaError(KafkaError._PARTITION_EOF))
        return None


class FakeProducer:
    """Keeps what is set aside. refuses: Kafka doesn't acknowledge. largest: of a value, bytes.

    breaks: produce() raises that, once, as a client does that lost its broker.
    """

    def __init__(self) -> None:
        self.records: list[tuple[str, dict[str, bytes]]] = []
        self.refuses = False
        self.largest = 1_000_000
        self.breaks: KafkaError | None = None

    def produce(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: dict[str, bytes],
        on_delivery: Callable[[KafkaError | None, None], None],
    ) -> None:
        if self.breaks is not None:
            error, self.breaks = self.breaks, None
            raise KafkaException(error)
        if len(value or b"") > self.largest:
            on_delivery(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), None)
            return
        self.records.append((topic, headers))
        on_delivery(None, None)

    def flush(self, timeout: float) -> int:
        return 1 if self.refuses else 0

    @property
    def offsets(self) -> list[int]:
        return [int(headers["offset"]) for _, headers in self.records]
