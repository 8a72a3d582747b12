"""Updates of one value at a steady rate, written straight to Kafka: the origin costs nothing."""

from __future__ import annotations

import threading
import time
from array import array
from types import TracebackType
from typing import Any

from confluent_kafka import Producer

from holdfast.values import HOME_TOPIC


class Updates:
    """`rate` times a second {"add": 1} of a sum. acknowledged: when Kafka had each, s since 1970.

    As the origin writes them: acks=all, idempotent. Use as a context manager.
    """

    def __init__(self, brokers: str, name: str, rate: float) -> None:
        self.acknowledged: array[float] = array("d")
        self.failed = 0
        self._name = name
        self._rate = rate
        self._stopping = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 0,
                "partitioner": "murmur2_random",
            }
        )
        self._thread = threading.Thread(target=self._run, name="updates", daemon=True)

    def __enter__(self) -> Updates:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more; returns once all is acknowledged."""
        self._stopping.set()
        self._thread.join()
        self._producer.flush(10)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            # What a busy machine made late is caught up with: the rate is what was asked for.
            while due <= time.monotonic():
                self._producer.produce(
                    HOME_TOPIC, b'{"add":1}', self._name, on_delivery=self._on_delivery
                )
                due += 1 / self._rate
            self._producer.poll(max(0.0, due - time.monotonic()))

    def _on_delivery(self, error: Any, _message: Any) -> None:
        if error is None:
            self.acknowledged.append(time.time())
        else:
            self.failed += 1
