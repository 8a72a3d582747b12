"""Writes updates to Kafka and waits for the acknowledgement.

Kafka's client is imported with the first update: an origin that only reads, a function above all,
starts sooner and smaller without it (docs/serverless.md).
"""

from __future__ import annotations

import logging
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from holdfast.errors import KafkaUnavailableError
from holdfast.idempotency import KAFKA_HEADER
from holdfast.kafka import Cluster
from holdfast.values import HOME_TOPIC

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

log = logging.getLogger(__name__)

ACK_TIMEOUT_MS = 4_000


class Sent:
    """An update on its way to Kafka."""

    __slots__ = ("_verdict",)

    def __init__(self, verdict: SimpleQueue[tuple[KafkaError | None, Message]]) -> None:
        self._verdict = verdict

    def wait(self) -> tuple[int, int]:
        """Its partition and offset, once Kafka has acknowledged it. KafkaUnavailableError: as
        UpdateProducer.send.
        """
        # librdkafka gives every message its verdict within message.timeout.ms.
        try:
            failure, message = self._verdict.get(timeout=2 * ACK_TIMEOUT_MS / 1000)
        except Empty as error:
            raise KafkaUnavailableError("Kafka gave no verdict in time") from error
        if failure is not None:
            raise KafkaUnavailableError(f"Kafka: {failure}")
        place: Any = (message.partition(), message.offset())
        return place  # type: ignore[no-any-return]


class UpdateProducer:
    """An idempotent producer; connects at its first update, in the process that sends it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._producer: Producer | None = None

    def send(self, name: str, update: bytes, key: bytes | None = None) -> tuple[int, int]:
        """Append an update of `name`; its partition and offset, once Kafka has acknowledged.

        Raises KafkaUnavailableError when Kafka did not acknowledge in time. The update may have
        been written all the same: only a retry with the same idempotency `key` counts once.
        """
        return self.start(name, update, key).wait()

    def start(self, name: str, update: bytes, key: bytes | None = None) -> Sent:
        """As `send`, without waiting: for many at once."""
        from confluent_kafka import KafkaException

        # A SimpleQueue is one lock in C; a Future takes several and a Condition in Python.
        verdict: SimpleQueue[tuple[KafkaError | None, Message]] = SimpleQueue()

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            verdict.put((error, message))

        try:
            self._connected().produce(
                HOME_TOPIC,
                key=name.encode(),
                value=update,
                headers=None if key is None else {KAFKA_HEADER: key},
                on_delivery=on_delivery,
            )
        except (BufferError, KafkaException) as error:
            raise KafkaUnavailableError(f"Kafka takes no more updates now: {error}") from error
        return Sent(verdict)

    def _connected(self) -> Producer:
        from confluent_kafka import Producer

        with self._lock:
            if self._producer is None:
                own = {
                    # By default a lost acknowledgement may append an update twice.
                    "enable.idempotence": True,
                    "acks": "all",
                    "message.timeout.ms": ACK_TIMEOUT_MS,
                    # 1 ms would take a tenth more updates per second, but costs the median
                    # POST more than that (docs/performance.md).
                    "linger.ms": 0,
                    # As Java's producers do, so that all agree which partition a key is on.
                    "partitioner": "murmur2_random",
                    "error_cb": lambda error: log.warning("Kafka: %s", error),
                }
                self._producer = Producer(self._cluster.client(own))
                threading.Thread(
                    target=self._poll, args=(self._producer,), name="kafka", daemon=True
                ).start()
            return self._producer

    def _poll(self, producer: Producer) -> None:
        while True:
            producer.poll(1.0)
