"""Holdfast's whole chain as a target: an update goes into Kafka, an event comes out."""

from __future__ import annotations

from confluent_kafka import Producer

from holdfast.values import HOME_TOPIC
from stack.load import cpu
from stack.stack import Stack

VALUE = "counter"
UNLIMITED = {"rate": 1_000_000, "burst": 1_000_000}


class Chain:
    """The stack, reached at the front door or straight at Pushpin. The value's rate is lifted.

    base: of ws:// viewers are WebSockets, else event streams.
    """

    def __init__(self, stack: Stack, base: str) -> None:
        self._stack = stack
        self.url = f"{base}/values/{VALUE}?as=sse"
        self._producer = Producer(
            {
                "bootstrap.servers": stack.kafka,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 0,
                "partitioner": "murmur2_random",
            }
        )
        stack.desk.call("PUT", f"values/{VALUE}/rate", UNLIMITED, etag="*")

    def publish(self) -> None:
        """One update, acknowledged by Kafka; its version is not known here."""
        self._producer.produce(HOME_TOPIC, b'{"add":1}', VALUE)
        self._producer.flush(10)

    def cpu(self) -> dict[str, float]:
        return cpu.of_stack(self._stack)
