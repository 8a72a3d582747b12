"""Records that nothing can be read from: counted, set aside as they were, never in the way."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    OffsetSpec,
)

from tests.e2e.metrics import metric
from tests.e2e.viewers import Viewer, snapshot, until

KEY = b"visits"
BROKER_LIMIT = 1_048_588  # bytes of a batch: the default of Kafka's message.max.bytes
ENVELOPE = 100  # more than what a batch of one record has around its key and value
REJECTED = "updates.rejected"

POISON = {
    "no JSON": (KEY, b'{"add":'),
    "nothing at all": (KEY, b""),
    "bytes": (KEY, b"\x00\x01\xff"),
    "not UTF-8": (KEY, b'{"add": "\xc3\x28"}'),
    "NaN": (KEY, b'{"add": NaN}'),
    "a string": (KEY, b'{"add": "1"}'),
    "a fraction": (KEY, b'{"add": 1.5}'),
    "a boolean": (KEY, b'{"add": true}'),
    "an array": (KEY, b"[1]"),
    "the other operation": (KEY, b'{"set": 1}'),
    "2^63": (KEY, b'{"add": 9223372036854775808}'),
    "400 digits": (KEY, b'{"add": 1%b}' % (b"0" * 400)),
    "an exponent": (KEY, b'{"add": 1e400}'),
    "deep nesting": (KEY, b'{"add": %b%b}' % (b"[" * 15_000, b"]" * 15_000)),
    "a tombstone": (KEY, None),
    "an unknown name": (b"nobody", b'{"add":1}'),
    "no name": (b"no/name", b'{"add":1}'),
    "an empty key": (b"", b'{"add":1}'),
    "no key": (None, b'{"add":1}'),
    "neither": (None, None),
    "a key that is not UTF-8": (b"\xff\xfe", b'{"add":1}'),
    "a key of 100 kB": (b"k" * 100_000, b'{"add":1}'),
    "a large value": (KEY, b'{"add":%b1}' % (b" " * 900_000)),
}


@pytest.fixture
def producer(stack):
    return _producer(stack)


@pytest.fixture
def partition(producer):
    """Where updates of `visits` are."""
    done = []
    producer.produce(
        "updates", b'{"add":1}', KEY, on_delivery=lambda _, message: done.append(message)
    )
    assert producer.flush(15) == 0
    return done[0].partition()


def test_each_is_counted_and_copied_with_its_reason_and_what_follows_counts(
    stack, redis_client, producer, partition
):
    before = _rejected_total(stack)
    start = _settled(stack, redis_client, partition)
    with Viewer(stack.url, "/values/visits?as=sse") as viewer:
        viewer.wait_connected()
        offsets = [_produce(producer, partition, *record) for record in POISON.values()]
        _produce(producer, partition, KEY, b'{"add":7}')
        until(lambda: viewer.values[-1] == start + 7, "the good update behind them")
        viewer.assert_increasing()
    assert _settled(stack, redis_client, partition) == start + 7
    assert _rejected_total(stack) == before + len(POISON)
    copies = _copies(stack, partition)
    reasons = {}
    for (kind, record), offset in zip(POISON.items(), offsets, strict=True):
        (copy,) = copies[offset]
        assert (copy.key(), copy.value()) == record, kind
        reasons[kind] = _headers(copy)["reason"].decode()
        assert reasons[kind], kind
    assert reasons["no key"] == "the record has no key"
    assert reasons["an unknown name"] == "no value has this name"
    assert reasons["a tombstone"] == "a tombstone updates nothing"
    assert reasons["2^63"] == "add must fit in 64 bits"


# Kafka's limit is for what is sent: compressed, a record may hold far more than its copy may.
@pytest.mark.parametrize(("compression", "size"), [("none", BROKER_LIMIT), ("gzip", 3_000_000)])
def test_a_record_at_kafkas_limit_is_set_aside_without_what_is_large(
    stack, redis_client, partition, compression, size
):
    producer = _producer(stack, compression)
    start = _settled(stack, redis_client, partition)
    value = b"x" * (size - ENVELOPE)
    long_value = _produce(producer, partition, KEY, value)
    long_key = _produce(producer, partition, value, KEY)
    _produce(producer, partition, KEY, b'{"add":5}')
    until(lambda: snapshot(stack.url, "visits")["value"] == start + 5, "what follows")
    copies = _copies(stack, partition)
    for offset, key in ((long_value, KEY), (long_key, None)):
        (copy,) = copies[offset]
        assert (copy.key(), copy.value()) == (key, None)
        assert _headers(copy)["size"] == b"%d" % (len(value) + len(KEY))
    assert b"larger than 32768 bytes" in _headers(copies[long_value][0])["reason"]


@pytest.fixture
def narrow_topic(stack):
    """The topic of the copies takes 20 kB at most, as an operator may have set it."""
    admin = AdminClient({"bootstrap.servers": stack.kafka})
    topic = ConfigResource(ConfigResource.Type.TOPIC, REJECTED)

    def alter(operation: AlterConfigOpType) -> None:
        topic.incremental_configs = [
            ConfigEntry("max.message.bytes", "20000", incremental_operation=operation)
        ]
        (done,) = admin.incremental_alter_configs([topic]).values()
        done.result()

    alter(AlterConfigOpType.SET)
    yield
    alter(AlterConfigOpType.DELETE)


def test_nor_is_a_copy_in_the_way_that_only_the_broker_refuses(
    stack, redis_client, producer, partition, narrow_topic
):
    start = _settled(stack, redis_client, partition)
    small = _produce(producer, partition, KEY, b"{")
    large = _produce(producer, partition, KEY, b"x" * 30_000)
    _produce(producer, partition, KEY, b'{"add":5}')
    until(lambda: snapshot(stack.url, "visits")["value"] == start + 5, "what follows")
    copies = _copies(stack, partition)
    (small_copy,), (large_copy,) = copies[small], copies[large]
    # In one batch with the large one the small one may be refused with it.
    assert small_copy.value() in (b"{", None)
    assert large_copy.value() is None
    assert _headers(large_copy)["size"] == b"%d" % (30_000 + len(KEY))


def _producer(stack, compression: str = "none") -> Producer:
    return Producer(
        {
            "bootstrap.servers": stack.kafka,
            "compression.type": compression,
            "message.max.bytes": 4_000_000,
            "message.timeout.ms": 10_000,
            "partitioner": "murmur2_random",
        }
    )


def _produce(producer: Producer, partition: int, key: bytes | None, value: bytes | None) -> int:
    """Append one record; its offset."""
    done = []
    producer.produce(
        "updates", value, key, partition, on_delivery=lambda *result: done.append(result)
    )
    assert producer.flush(15) == 0
    ((error, message),) = done
    assert error is None, error
    return message.offset()


def _rejected_total(stack) -> float:
    return metric(stack.publisher_urls, "holdfast_rejected_total", topic="updates")


def _settled(stack, redis_client, partition: int) -> int:
    """What `visits` is, once everything that the partition holds is applied and released."""

    def released():
        known = int(redis_client.get(f"offset:updates:{partition}") or 0)
        value, newest = redis_client.hmget("value:visits", "value", "released")
        return known >= _ends(stack, "updates")[partition] and value == newest and value

    return int(until(released, "everything applied and released"))


def _ends(stack, topic: str) -> dict[int, int]:
    admin = AdminClient({"bootstrap.servers": stack.kafka})
    count = len(admin.list_topics(topic, timeout=10).topics[topic].partitions)
    asked = {TopicPartition(topic, number): OffsetSpec.latest() for number in range(count)}
    answers = admin.list_offsets(asked, request_timeout=10)
    return {place.partition: future.result().offset for place, future in answers.items()}


def _copies(stack, partition: int) -> dict[int, list]:
    """All copies of records of `partition`, by the offset that they had."""
    consumer = Consumer(
        {
            "bootstrap.servers": stack.kafka,
            "group.id": "nobody",
            "enable.auto.commit": False,
            "fetch.message.max.bytes": 4_000_000,
        }
    )
    try:
        ends = _ends(stack, REJECTED)
        consumer.assign([TopicPartition(REJECTED, number, 0) for number in ends])
        copies: dict[int, list] = {}
        for _ in range(sum(ends.values())):
            message = consumer.poll(10)
            assert message is not None, "fewer records than offsets"
            assert message.error() is None, message.error()
            headers = _headers(message)
            if int(headers["partition"]) == partition:
                copies.setdefault(int(headers["offset"]), []).append(message)
        return copies
    finally:
        consumer.close()


def _headers(message) -> dict[str, bytes]:
    return dict(message.headers())
