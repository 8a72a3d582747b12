"""What Kafka's client says of records and logs, without what it can't say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.state import Partition


def headers(message: Any) -> Sequence[tuple[str, bytes | None]]:
    """A message's headers; none where a name is not UTF-8, which anybody may write.

    Ask once a message: where confluent-kafka could not decode a name it keeps a list with a hole,
    and asking again gives that.
    """
    try:
        return message.headers() or ()
    except (SystemError, UnicodeDecodeError):  # the former around the latter, as it is today
        return ()


def high_watermark(consumer: Any, partition: Partition) -> int | None:
    """The offset after the log's last record, as the client's last fetch saw it; asks nobody.

    None before the first, and of what is not read. consumer: a confluent_kafka.Consumer.
    """
    from confluent_kafka import KafkaException, TopicPartition

    place = TopicPartition(partition.topic, partition.number)
    try:
        _, high = consumer.get_watermark_offsets(place, cached=True)
    except (KafkaException, RuntimeError):  # not read, or closed
        return None
    return high if high >= 0 else None
