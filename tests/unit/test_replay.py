"""How the origin reads Kafka back: for how long, by how many at once, and whose answers count."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from itertools import islice

from confluent_kafka import KafkaError, KafkaException

from holdfast.errors import UnavailableError
from holdfast.kafka import Cluster
from origin import replay
from origin.replay import BATCH, CONSUMERS, WAITERS, Done, Record, Replay

DEADLINE_S = 30.0


class FakeMessage:
    def __init__(self, offset, topic="test", partition=0):
        self._place = topic, partition, offset

    def error(self):
        return None

    def topic(self):
        return self._place[0]

    def partition(self):
        return self._place[1]

    def offset(self):
        return self._place[2]

    def key(self):
        return None

    def value(self):
        return b"x"

    def headers(self):
        return None


class FakeConsumer:
    """Delivers what it is given, or records without an end."""

    def __init__(self, messages=None):
        self._messages = messages
        self._next = 0

    def assign(self, places):
        self._next = places[0].offset

    def unassign(self):
        pass

    def consume(self, count, _timeout_s):
        if self._messages is not None:
            messages, self._messages = self._messages, []
            return messages
        self._next += count
        return [FakeMessage(offset) for offset in range(self._next - count, self._next)]

    def poll(self, timeout_s):
        return None


class FakeReplay(Replay):
    def __init__(self, consumer):
        super().__init__(Cluster(""))
        self._make = consumer

    def _connect(self):
        return self._make()


def test_only_a_few_wait_for_a_read_and_others_are_refused_at_once(monkeypatch):
    """Each waits on one of the origin's threads, which others need."""
    monkeypatch.setattr(replay, "WAIT_S", DEADLINE_S)
    reads = FakeReplay(FakeConsumer)
    running = [reads.read("test", {0: 0}, {0: 10_000}) for _ in range(CONSUMERS)]
    for each in running:
        next(each)

    def read():
        with closing(reads.read("test", {0: 0}, {0: 10_000})) as records:
            return next(records)

    with ThreadPoolExecutor(WAITERS + 12) as threads:
        asked = [threads.submit(read) for _ in range(WAITERS + 12)]
        try:
            refused = list(islice(as_completed(asked, DEADLINE_S / 2), 12))
            assert all(isinstance(each.exception(), UnavailableError) for each in refused)
        finally:
            for each in running:
                each.close()
        served = [each for each in asked if each not in refused]
        assert [each.result(DEADLINE_S).offset for each in served] == [0] * WAITERS
    assert read().offset == 0


def test_a_read_and_its_wait_end_well_before_the_edge_gives_up():
    """The edge calls the whole origin sick when an answer does not begin within 10 s."""
    assert replay.WAIT_S + replay.PATIENCE_S <= 4.0


def test_a_read_ends_in_time_although_records_flow(monkeypatch):
    monkeypatch.setattr(replay, "PATIENCE_S", 0.0)
    found = list(FakeReplay(FakeConsumer).read("test", {0: 0}, {0: 100_000_000}))
    assert [each.offset for each in found] == list(range(BATCH))


def test_a_header_name_that_is_not_utf_8_costs_the_record_its_headers_only():
    class Unreadable(FakeMessage):
        def headers(self):
            raise SystemError("returned NULL without setting an exception")

    reads = FakeReplay(lambda: FakeConsumer([Unreadable(0)]))
    assert list(reads.read("test", {0: 0}, {0: 1})) == [Record(0, 0, None, b"x", ()), Done(0)]


def test_what_an_earlier_read_left_behind_is_passed_over():
    old = [
        FakeMessage(0, topic="other"),
        FakeMessage(0, partition=1),
        FakeMessage(4),
        FakeMessage(5),
    ]
    found = list(FakeReplay(lambda: FakeConsumer(old)).read("test", {0: 5}, {0: 6}))
    assert found == [Record(0, 5, None, b"x", ()), Done(0)]


def test_a_consumer_that_cannot_be_let_go_costs_no_place():
    class Broken(FakeConsumer):
        def unassign(self):
            raise KafkaException(KafkaError(KafkaError._STATE))

        def close(self):
            pass

    reads = FakeReplay(Broken)
    for _ in range(CONSUMERS + 1):
        with closing(reads.read("test", {0: 0}, {0: 10_000})) as records:
            assert next(records).offset == 0
