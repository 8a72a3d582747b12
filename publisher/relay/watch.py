"""Which topics there are that may be relayed: looked up again and again, on its own thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from holdfast.kafka import Cluster
from holdfast.topics import Topics
from publisher import metrics

log = logging.getLogger(__name__)

REFRESH_S = 1.0
# Every event's id names an offset per partition, and ids travel in URLs of at most 2 kB.
MOST_PARTITIONS = 64


class TopicWatch(threading.Thread):
    """topics: name and number of partitions of each that may be relayed; None before the first."""

    def __init__(self, cluster: Cluster, rules: Topics, stopping: threading.Event) -> None:
        super().__init__(name="topic watch", daemon=True)
        self._admin = AdminClient(cluster.client())
        self._rules = rules
        self._stopping = stopping
        self._refused: set[str] = set()
        self.topics: Mapping[str, int] | None = None

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except KafkaException as error:
                metrics.KAFKA_ERRORS.inc()
                log.info("can't list the topics: %s", error)
            self._stopping.wait(REFRESH_S)

    def look(self) -> None:
        """Look once. Raises KafkaException."""
        found = {}
        for name, topic in self._admin.list_topics(timeout=5).topics.items():
            if self._rules.rules(name) is None or topic.error is not None:
                continue
            if len(topic.partitions) <= MOST_PARTITIONS:
                found[name] = len(topic.partitions)
            elif name not in self._refused:
                self._refused.add(name)
                log.error(
                    "%s has %d partitions; at most %d can be relayed",
                    name,
                    len(topic.partitions),
                    MOST_PARTITIONS,
                )
        self.topics = found
