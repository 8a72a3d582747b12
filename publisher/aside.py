"""Setting malformed records aside: copies on the rejected topic, with the reason and the place."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer

from holdfast.errors import KafkaUnavailableError
from holdfast.state import Partition
from publisher.fold import Rejected
from publisher.kafka import rejected_topic

log = logging.getLogger(__name__)

ACK_TIMEOUT_S = 10.0
LONGEST_KEY = 1_000  # bytes; a longer one may be what makes a copy too large


class _Copy(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: dict[str, str | bytes | None]

    def without_value(self) -> _Copy:
        size = len(self.key or b"") + len(self.value or b"")
        key = self.key if len(self.key or b"") <= LONGEST_KEY else None
        return _Copy(key, None, {**self.headers, "size": str(size).encode()})


def set_aside(producer: Producer, partition: Partition, rejected: Sequence[Rejected]) -> None:
    """Copy malformed records; returns once Kafka has acknowledged every copy.

    Raises KafkaUnavailableError when it does not: some copies may be there, and come again.
    """
    copies = []
    for record, reason in rejected:
        log.warning(
            "rejected %s[%d]@%d: %s", partition.topic, partition.number, record.offset, reason
        )
        headers: dict[str, str | bytes | None] = {
            "reason": reason.encode(),
            "partition": str(partition.number).encode(),
            "offset": str(record.offset).encode(),
        }
        copies.append(_Copy(record.key, record.value, headers))
    topic = rejected_topic(partition.topic)
    # A copy may be larger than Kafka allows though its original was not: it has more headers, and
    # the limit is for what was sent, compressed or not. The original stays where it is.
    too_large = _send(producer, topic, copies)
    if too_large and _send(producer, topic, [copy.without_value() for copy in too_large]):
        raise KafkaUnavailableError("Kafka refuses even small copies of rejected records")


def _send(producer: Producer, topic: str, copies: Sequence[_Copy]) -> list[_Copy]:
    """Send copies and wait for Kafka's answers; those that are too large for it."""
    too_large: list[_Copy] = []
    failures: list[KafkaError] = []

    def judge(error: KafkaError | None, copy: _Copy) -> None:
        if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            too_large.append(copy)
        elif error is not None:
            failures.append(error)

    for copy in copies:

        def on_delivery(error: KafkaError | None, _: Any, copy: _Copy = copy) -> None:
            judge(error, copy)

        while True:
            try:
                producer.produce(topic, **copy._asdict(), on_delivery=on_delivery)
                break
            except BufferError:
                producer.poll(0.1)
            except KafkaException as error:  # refused before it was sent
                judge(error.args[0], copy)
                break
    left = producer.flush(ACK_TIMEOUT_S)
    if left or failures:
        why = failures[0] if failures else "no answer"
        raise KafkaUnavailableError(f"Kafka does not take the copies of rejected records: {why}")
    return too_large
