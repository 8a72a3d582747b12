"""What Kafka says of its logs: all partitions in one question, on a connection of its own.

A consumer's own connection would make each question wait behind a fetch, up to half a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from holdfast.errors import KafkaUnavailableError
from holdfast.kafka import Cluster
from holdfast.state import Partition

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Log:
    """One partition's log: its first offset, the one after its last, the topic's id and size.

    A topic that is deleted and created again under its name has another id.
    """

    low: int
    high: int
    topic_id: str
    partitions: int


class Logs:
    """Asks Kafka. Raises KafkaUnavailableError when it doesn't answer or doesn't know the topic."""

    def __init__(self, cluster: Cluster) -> None:
        self._admin = AdminClient(cluster.client())

    def look(self, partitions: Iterable[Partition]) -> dict[Partition, Log]:
        """The log of each partition, as it is now."""
        wanted = {part: TopicPartition(part.topic, part.number) for part in partitions}
        topics = self._admin.describe_topics(
            TopicCollection(sorted({part.topic for part in wanted})), request_timeout=TIMEOUT_S
        )
        lows = self._offsets(wanted, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        highs = self._offsets(wanted, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        try:
            return {
                part: Log(
                    low=lows[asked].result(TIMEOUT_S).offset,
                    high=highs[asked].result(TIMEOUT_S).offset,
                    topic_id=str(topics[part.topic].result(TIMEOUT_S).topic_id),
                    partitions=len(topics[part.topic].result(TIMEOUT_S).partitions),
                )
                for part, asked in wanted.items()
            }
        except KafkaException as error:
            raise KafkaUnavailableError(f"Kafka: {error.args[0].str()}") from error
        except TimeoutError as error:
            raise KafkaUnavailableError("Kafka does not answer") from error

    def topics(self) -> dict[str, int]:
        """Every topic that there is, and its number of partitions."""
        try:
            found = self._admin.list_topics(timeout=TIMEOUT_S).topics
        except KafkaException as error:
            raise KafkaUnavailableError(error.args[0].str()) from error
        return {name: len(topic.partitions) for name, topic in found.items() if not topic.error}

    def offsets(self, partitions: Iterable[Partition], which: OffsetSpec) -> dict[Partition, int]:
        """One offset of each partition; -1 where there is none."""
        wanted = {part: TopicPartition(part.topic, part.number) for part in partitions}
        asked = self._offsets(wanted, which)
        try:
            return {part: asked[key].result(TIMEOUT_S).offset for part, key in wanted.items()}
        except KafkaException as error:
            raise KafkaUnavailableError(error.args[0].str()) from error
        except TimeoutError as error:
            raise KafkaUnavailableError("no answer") from error

    def ask_ids(self, topics: Iterable[str]) -> dict[str, Future[Any]]:
        """Ask for the topics' ids without waiting; each result's `topic_id` is one."""
        futures: dict[str, Future[Any]] = self._admin.describe_topics(
            TopicCollection(sorted(topics)), request_timeout=TIMEOUT_S
        )
        return futures

    def _offsets(self, wanted: dict[Partition, TopicPartition], which: OffsetSpec) -> Any:
        return self._admin.list_offsets(
            dict.fromkeys(wanted.values(), which), request_timeout=TIMEOUT_S
        )
