"""A Kafka topic of a test's own, and a producer whose records say where they stand."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import httpx
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from tests.e2e.viewers import until


class RelayTopic:
    """Created while everything runs, under a name that nobody had before."""

    def __init__(self, stack: Any, prefix: str = "relay", partitions: int = 4) -> None:
        self.stack = stack
        self.name = f"{prefix}.{uuid.uuid4().hex[:8]}"
        self.url = f"{stack.url}/events/{self.name}/"
        self.admin = AdminClient({"bootstrap.servers": stack.kafka})
        self._producer = self._connect()
        self.next: dict[int, int] = {}
        self._failures: list[Any] = []
        self._lock = threading.Lock()
        self.create(partitions)

    def create(self, partitions: int) -> None:
        self.next = dict.fromkeys(range(partitions), 0)
        new = [NewTopic(self.name, num_partitions=partitions, replication_factor=1)]

        def created() -> bool:
            try:
                self.admin.create_topics(new)[self.name].result(10)
            except KafkaException:  # a topic of this name is being deleted
                return False
            return True

        until(created, "the topic")

    def wait_relayed(self) -> RelayTopic:
        until(lambda: answers_sse(self.url), "the relay to find the topic", 60)
        return self

    def add(self, count: int, padding: int = 40) -> None:
        """So many records over all partitions; queued, see `flush`."""
        text = "x" * padding
        for _ in range(count):
            with self._lock:
                partition = min(self.next, key=self.next.__getitem__)
                number = self.next[partition]
                self.next[partition] = number + 1
            self.put(f"{partition} {number} {text}".encode(), partition)

    def put(self, value: bytes | None, partition: int = 0, **more: Any) -> None:
        while True:
            try:
                self._producer.produce(
                    self.name, value, partition=partition, on_delivery=self._delivered, **more
                )
                break
            except BufferError:
                self._producer.poll(0.05)
        self._producer.poll(0)

    def flush(self) -> None:
        assert not self._producer.flush(30)
        assert not self._failures, self._failures

    def grow(self, partitions: int) -> None:
        new = [NewPartitions(self.name, partitions)]
        self.admin.create_partitions(new)[self.name].result(10)
        self.flush()
        self._producer = self._connect()  # the old one does not know them for minutes
        for number in range(partitions):
            self.next.setdefault(number, 0)

    def _connect(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.stack.kafka,
                "enable.idempotence": True,
                "linger.ms": 2,
                "log_level": 0,
            }
        )

    def delete_before(self, partition: int, offset: int) -> None:
        """Remove the partition's records below `offset`."""
        place = TopicPartition(self.name, partition, offset)
        self.admin.delete_records([place])[place].result(10)

    def delete(self) -> None:
        self.admin.delete_topics([self.name])[self.name].result(10)

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failures.append(error)


def answers_sse(url: str) -> bool:
    """Whether a stream begins there."""
    try:
        with httpx.stream("GET", url, timeout=5, trust_env=False) as answer:
            return answer.status_code == 200
    except httpx.HTTPError:
        return False
