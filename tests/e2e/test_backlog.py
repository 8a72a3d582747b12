"""Records that pile up while Redis is away: read in little memory, and all counted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Producer

from stack.temporary import temporary_stack
from tests.conftest import VALUES
from tests.e2e.metrics import metric
from tests.e2e.viewers import Viewer, answers, post, snapshot, until

RECORDS = 1_000_000
LARGE_RECORDS, LARGE_BYTES = 20_000, 15_000
MOST_MB = 250
CATCH_UP_S = 60


@pytest.fixture(scope="module")
def stack():
    # Its own: whoever wipes Redis in the shared one would wait for a million records.
    with temporary_stack(VALUES) as stack:
        yield stack


@pytest.fixture
def memory(stack):
    with _Memory(stack.pid("publisher-1")) as memory:
        yield memory


def test_a_million_records_behind_are_counted_exactly(stack, memory):
    start = snapshot(stack.url, "counter")["value"]
    wanted = start + RECORDS
    with Viewer(stack.url, "/values/counter?as=sse", reconnect=True) as viewer:
        viewer.wait_connected()
        read = _records_read(stack)
        _stop_redis(stack)
        _produce(stack, "counter", b'{"add":1}', RECORDS)
        print(f"RSS {memory.most_mb:.0f} MB while Redis was away")
        # What came when Redis was just gone may have been read; the rest waits in Kafka.
        assert _records_read(stack) - read < RECORDS / 10
        began = time.monotonic()
        stack.start_part("redis")
        until(lambda: viewer.values[-1] == wanted, f"exactly {wanted}", CATCH_UP_S)
        took = time.monotonic() - began
        until(lambda: snapshot(stack.url, "counter")["value"] == wanted, "the snapshot")
        viewer.assert_increasing()
        assert viewer.resets == 0
        # Nobody sees the half of it: what Redis has is trusted once it has everything.
        assert set(viewer.values) <= {start, wanted}
        post(stack.url, "counter", {"add": 1})
        until(lambda: viewer.values[-1] == wanted + 1, "the next update")
    memory.assert_little(stack)
    print(f"{RECORDS:,} records in {took:.1f} s, RSS at most {memory.most_mb:.0f} MB")


def test_nor_do_large_records_take_more_memory(stack, memory):
    with Viewer(stack.url, "/values/headline?as=sse", reconnect=True) as viewer:
        viewer.wait_connected()
        _stop_redis(stack)
        _produce(stack, "headline", b'{"set":"%b"}' % (b"x" * LARGE_BYTES), LARGE_RECORDS)
        stack.produce("updates", '{"set":"the last one"}', key="headline")
        stack.start_part("redis")
        until(lambda: viewer.values[-1] == "the last one", "the last update", CATCH_UP_S)
        viewer.assert_increasing()
    memory.assert_little(stack)
    size_mb = LARGE_RECORDS * LARGE_BYTES / 1e6
    print(f"{size_mb:.0f} MB of records, RSS at most {memory.most_mb:.0f} MB")


class _Memory:
    """Watches the resident memory of a process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.most_mb = 0.0
        self._status = Path(f"/proc/{pid}/status")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def assert_little(self, stack) -> None:
        """Of the process that it was from the beginning."""
        assert stack.pid("publisher-1") == self.pid
        # The kernel's own peak, which no look between two samples can miss.
        self.most_mb = max(self.most_mb, self._mb("VmHWM"))
        assert self.most_mb < MOST_MB

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self.most_mb = max(self.most_mb, self._mb("VmRSS"))

    def _mb(self, field: str) -> float:
        lines = self._status.read_text().splitlines()
        return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def _stop_redis(stack) -> None:
    stack.stop_part("redis")
    until(lambda: not answers(f"{stack.origin_urls[0]}/health/ready"), "the origin to know")


def _records_read(stack) -> float:
    return metric(stack.publisher_urls, "holdfast_records_total", topic="updates")


def _produce(stack, key: str, value: bytes, count: int) -> None:
    """Append the same update `count` times."""
    producer = Producer(
        {
            "bootstrap.servers": stack.kafka,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "queue.buffering.max.messages": 200_000,
        }
    )
    outcomes: Counter[str] = Counter()

    def on_delivery(error, _message) -> None:
        outcomes["failed" if error else "done"] += 1

    for _ in range(count):
        while True:
            try:
                producer.produce("updates", value, key, on_delivery=on_delivery)
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    assert producer.flush(30) == 0
    assert outcomes == {"done": count}
