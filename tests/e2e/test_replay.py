"""What the origin reads back from a real Kafka."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer

from holdfast.kafka import Cluster
from origin.replay import Done, Replay
from tests.e2e.relay_topic import RelayTopic


@pytest.fixture
def topic(stack):
    return RelayTopic(stack, partitions=2)


def transaction(stack, topic, *values, commit=True):
    producer = Producer({"bootstrap.servers": stack.kafka, "transactional.id": topic.name})
    producer.init_transactions(30)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic.name, value, partition=0)
    assert not producer.flush(30)
    if commit:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def test_a_transactional_topic_is_read_to_its_end(stack, topic):
    """The last offset of each transaction is a marker, which no consumer gets."""
    transaction(stack, topic, b"one", b"two")
    transaction(stack, topic, b"never", commit=False)
    replay = Replay(Cluster(stack.kafka))
    end = {log: each.high for log, each in enumerate(replay.ends(topic.name, 2))}
    assert end == {0: 5, 1: 0}
    found = list(replay.read(topic.name, {0: 0, 1: 0}, end))
    assert [each.value for each in found[:-1]] == [b"one", b"two"]
    assert found[-1] == Done(0)
    # Nothing but markers and what was never committed.
    assert list(replay.read(topic.name, {0: 2}, {0: 5})) == [Done(0)]
