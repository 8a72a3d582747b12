"""An acknowledgement that gets lost on its way makes no second record."""

from __future__ import annotations

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from holdfast.kafka import Cluster
from origin.produce import UpdateProducer
from tests.e2e.kafka_proxy import KafkaProxy
from tests.e2e.viewers import snapshot, until


@pytest.fixture
def proxy(stack):
    proxy = KafkaProxy(int(stack.kafka.rpartition(":")[2]))
    yield proxy
    proxy.close()


def _end(stack, partition: int) -> int:
    admin = AdminClient({"bootstrap.servers": stack.kafka})
    place = TopicPartition("updates", partition)
    return admin.list_offsets({place: OffsetSpec.latest()})[place].result().offset


def test_a_lost_acknowledgement_is_asked_for_again_without_a_second_record(stack, proxy):
    start = snapshot(stack.url, "visits")["value"]
    producer = UpdateProducer(Cluster(f"127.0.0.1:{proxy.port}"))
    partition, _ = producer.send("visits", b'{"add":1}')
    before = _end(stack, partition)
    proxy.lose = 1
    assert producer.send("visits", b'{"add":1}') == (partition, before)
    assert proxy.lost == 1
    assert producer.send("visits", b'{"add":1}') == (partition, before + 1)
    assert _end(stack, partition) == before + 2
    until(lambda: snapshot(stack.url, "visits")["value"] == start + 3, "each of them once")
