"""A stack for the relay's measurements, and topics to fill."""

from __future__ import annotations

import time
from collections.abc import Callable

import click
import httpx
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from stack.stack import Stack

VALUES = """
[values.counter]
reduce = "sum"
default = true
[events."shown.*"]
max_replay = 1000000
"""


def create(stack: Stack, topic: str, partitions: int) -> None:
    """A topic; if it is one that may be shown, it is relayed when this returns."""
    new = NewTopic(topic, num_partitions=partitions, replication_factor=1)
    admin = AdminClient({"bootstrap.servers": stack.kafka})
    admin.create_topics([new])[topic].result(10)
    if topic.startswith("shown."):
        until(lambda: _streams(f"{stack.url}/events/{topic}/"), f"the relay to take {topic}")


def _streams(url: str) -> bool:
    with httpx.stream("GET", url, timeout=5, trust_env=False) as answer:
        return answer.status_code == 200


def make_producer(stack: Stack) -> Producer:
    return Producer(
        {
            "bootstrap.servers": stack.kafka,
            "enable.idempotence": True,
            "linger.ms": 5,
            "log_level": 0,
        }
    )


def put(producer: Producer, topic: str, partition: int, value: bytes) -> None:
    """Queue a record; waits while the producer's queue is full."""
    while True:
        try:
            producer.produce(topic, value, partition=partition)
            return
        except BufferError:
            producer.poll(0.05)


def until(condition: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
    """Poll until it is true. ClickException names `what` otherwise."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise click.ClickException(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.02)
