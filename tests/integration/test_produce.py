"""The origin's producer against librdkafka's own mock of a broker: real protocol, no Java."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from holdfast.errors import UnavailableError
from holdfast.kafka import Cluster
from origin import produce
from origin.produce import UpdateProducer

# A producer polls as long as its process lives, so what it talks to must not end before it.
ALIVE: list[object] = []


@pytest.fixture(scope="module")
def brokers():
    """The address of a mock broker; it lives as long as the producer that made it."""
    host = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    ALIVE.append(host)
    return ",".join(
        f"{broker.host}:{broker.port}" for broker in host.list_topics(timeout=5).brokers.values()
    )


@pytest.fixture(scope="module")
def producer(brokers):
    return UpdateProducer(Cluster(brokers))


def read(brokers, partition, offset, of=lambda message: (message.key(), message.value())):
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "test", "log_level": 0})
    try:
        consumer.assign([TopicPartition("updates", partition, offset)])
        return of(consumer.poll(10))
    finally:
        consumer.close()


def test_an_update_is_at_the_place_that_was_answered(brokers, producer):
    producer.send("counter", b'{"add":1}')
    place = producer.send("counter", b'{"add":2}')
    assert read(brokers, *place) == (b"counter", b'{"add":2}')


def test_the_idempotency_key_travels_in_a_header(brokers, producer):
    partition, offset = producer.send("counter", b'{"add":1}', b"a-key")
    assert read(brokers, partition, offset, of=Message.headers) == [("idempotency-key", b"a-key")]


def test_updates_of_one_value_share_a_partition_in_the_order_of_their_answers(producer):
    places = [producer.send("visits", b'{"add":1}') for _ in range(5)]
    assert len({partition for partition, _ in places}) == 1
    offsets = [offset for _, offset in places]
    assert offsets == sorted(set(offsets))


def test_concurrent_updates_wait_together_and_each_gets_a_place_of_its_own(producer):
    places = []

    def send():
        places.append(producer.send("counter", b'{"add":1}'))

    threads = [threading.Thread(target=send) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(places) == len(set(places)) == 64


def test_a_silent_broker_makes_it_unavailable_within_the_timeout(monkeypatch):
    monkeypatch.setattr(produce, "ACK_TIMEOUT_MS", 200)
    silent = socket.create_server(("127.0.0.1", 0))
    ALIVE.append(silent)
    started = time.monotonic()
    with pytest.raises(UnavailableError):
        UpdateProducer(Cluster(f"127.0.0.1:{silent.getsockname()[1]}")).send(
            "counter", b'{"add":1}'
        )
    assert time.monotonic() - started < 2.0
