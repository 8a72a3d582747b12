"""The publisher's Kafka clients: how they are set up, and why."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from holdfast.config import Settings
from holdfast.operator_settings import AUDIT_TOPIC
from holdfast.operator_settings import TOPIC as SETTINGS_TOPIC
from holdfast.values import HOME_TOPIC, Values
from publisher import metrics

log = logging.getLogger(__name__)

PARTITIONS = 4  # never change the count of a live topic: keys would move between partitions
# What Kafka refuses for good: a name (also one that differs from another's only by . and _), by its
# policy, or to this client.
_REFUSED = frozenset(
    {
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
SESSION_MS = 6_000  # the broker's lower bound (group.min.session.timeout.ms)


def rejected_topic(topic: str) -> str:
    """Where the malformed records of `topic` are copied to."""
    return f"{topic}.rejected"


def make_consumer(settings: Settings) -> Consumer:
    return Consumer(
        settings.cluster.client(
            {
                "group.id": settings.group,
                "group.instance.id": settings.slot,
                # KIP-848 doesn't go below 45 s of silence at a failover.
                "group.protocol": "classic",
                "session.timeout.ms": SESSION_MS,
                "heartbeat.interval.ms": 1_000,
                "partition.assignment.strategy": "range",
                # Redis knows what is applied; offsets kept by the group are never trusted.
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                # librdkafka prefetches 64 MB per partition otherwise.
                "queued.max.messages.kbytes": 16_384,
                "fetch.wait.max.ms": 500,
                "topic.metadata.refresh.interval.ms": 10_000,
                "error_cb": _on_error,
            }
        )
    )


def make_relay_consumer(settings: Settings) -> Consumer:
    """For the relay, which assigns its partitions itself (publisher/relay/owners.py)."""
    return Consumer(
        settings.cluster.client(
            {
                "group.id": f"{settings.group}-relay",  # needed, but never joined
                # Redis knows what was relayed.
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "queued.max.messages.kbytes": 16_384,
                "fetch.wait.max.ms": 500,
                "error_cb": _on_error,
            }
        )
    )


def make_producer(settings: Settings) -> Producer:
    """For copies of rejected records, and for presence."""
    return Producer(
        settings.cluster.client(
            {
                "enable.idempotence": True,
                "acks": "all",
                # As Java's producers do, so that all agree which partition a key is on.
                "partitioner": "murmur2_random",
                "error_cb": _on_error,
            }
        )
    )


def ensure_topics(settings: Settings, values: Values, stopping: threading.Event) -> None:
    """Create the topics that are missing; retries until Kafka answers or `stopping` is set."""
    wanted = [name for topic in values.topics for name in (topic, rejected_topic(topic))]
    ensure_named(settings, [*wanted, SETTINGS_TOPIC, AUDIT_TOPIC], stopping)


def ensure_named(settings: Settings, wanted: Sequence[str], stopping: threading.Event) -> None:
    """As ensure_topics, for topics by their names. What Kafka refuses to create is left out."""
    admin = AdminClient(settings.cluster.client())
    while not stopping.is_set():
        try:
            existing = set(admin.list_topics(timeout=5).topics)
            missing = [topic for topic in wanted if topic not in existing]
            if missing:
                _create(admin, missing, settings)
            return
        except KafkaException as error:
            log.info("waiting for Kafka: %s", error)
            stopping.wait(0.5)


def topic_config(settings: Settings, topic: str = HOME_TOPIC) -> dict[str, str]:
    """What a new topic is created with, beyond its partitions."""
    config = {"retention.ms": str(settings.retention_ms)}
    if topic == SETTINGS_TOPIC:
        # Of each key the newest record is kept, for ever.
        config = {"cleanup.policy": "compact"}
    elif topic == AUDIT_TOPIC:
        config = {"retention.ms": "-1"}
    if settings.kafka_replication >= 3:
        # By default a broker acknowledges what it alone has, and may die with it.
        config["min.insync.replicas"] = "2"
    return config


def _create(admin: AdminClient, topics: list[str], settings: Settings) -> None:
    created = admin.create_topics(
        [
            NewTopic(
                topic,
                # One partition of settings: its offsets are versions.
                num_partitions=1 if topic in (SETTINGS_TOPIC, AUDIT_TOPIC) else PARTITIONS,
                replication_factor=settings.kafka_replication,
                config=topic_config(settings, topic),
            )
            for topic in topics
        ]
    )
    for topic, future in created.items():
        try:
            future.result()
            log.info("created topic %s", topic)
        except KafkaException as error:
            code = error.args[0].code()
            if code in _REFUSED:
                log.error("Kafka refuses to create topic %s: %s", topic, error.args[0].str())
            # Another publisher, starting at the same moment, was faster.
            elif code != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def _on_error(error: KafkaError) -> None:
    metrics.KAFKA_ERRORS.inc()
    log.warning("Kafka: %s", error)
