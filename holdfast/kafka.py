"""Kafka's address, and librdkafka's settings that the environment passes on to every client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import ConfigError

PREFIX = "HOLDFAST_KAFKA_"

# librdkafka's names are words with dots, but for one.
_NAMES = {"log.level": "log_level"}
# Settings that hold the path of a file themselves.
FILES = frozenset(
    {
        "sasl.oauthbearer.assertion.file",
        "sasl.oauthbearer.assertion.jwt.template.file",
        "sasl.oauthbearer.assertion.private.key.file",
    }
)
_TOGETHER = "Failed to create producer: "
_SECRET_ENDS = (".password", ".passphrase", ".secret", ".pem", "sasl.oauthbearer.config")

_PROMISES = "Holdfast's promises rest on it"
# What is not anybody's to change, aliases included, and why.
KEPT = {
    "bootstrap.servers": "it is HOLDFAST_KAFKA",
    "metadata.broker.list": "it is HOLDFAST_KAFKA",
    "group.id": "it is HOLDFAST_GROUP",
    "group.instance.id": "it is HOLDFAST_SLOT",
    # A lost acknowledgement would append an update twice, or an update would be lost after its 202.
    "enable.idempotence": _PROMISES,
    "enable.gapless.guarantee": _PROMISES,
    "acks": _PROMISES,
    "request.required.acks": _PROMISES,
    "transactional.id": _PROMISES,
    # An origin waits for each update's verdict, so long and no longer.
    "message.timeout.ms": _PROMISES,
    "delivery.timeout.ms": _PROMISES,
    "delivery.report.only.error": _PROMISES,
    # Updates of one value must come from one partition.
    "partitioner": _PROMISES,
    # Redis knows what is applied, and a failover is as long as the contract says.
    "enable.auto.commit": _PROMISES,
    "auto.commit.enable": _PROMISES,
    "enable.auto.offset.store": _PROMISES,
    "auto.offset.reset": _PROMISES,
    "enable.partition.eof": _PROMISES,
    "isolation.level": _PROMISES,
    "group.protocol": _PROMISES,
    "group.protocol.type": _PROMISES,
    "group.remote.assignor": _PROMISES,
    "partition.assignment.strategy": _PROMISES,
    "session.timeout.ms": _PROMISES,
    "heartbeat.interval.ms": _PROMISES,
    # A topic that a consumer creates has the wrong number of partitions.
    "allow.auto.create.topics": _PROMISES,
    "test.mock.num.brokers": _PROMISES,
    # Not text: confluent-kafka takes a Python object by this name.
    "logger": "librdkafka knows no such setting",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """What every client of Kafka needs. extra: librdkafka's settings, by their own names."""

    brokers: str
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)

    def client(self, own: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The configuration of a client that needs `own`; `extra` may tune it, but for KEPT."""
        return {"bootstrap.servers": self.brokers, **(own or {}), **self.extra}


def setting(variable: str) -> str:
    """The librdkafka setting that an environment variable stands for."""
    name = variable.removeprefix(PREFIX).lower().replace("_", ".")
    return _NAMES.get(name, name)


def variable(setting: str) -> str:
    """The environment variable that stands for a librdkafka setting."""
    return PREFIX + setting.upper().replace(".", "_")


def is_secret(setting: str) -> bool:
    return setting.endswith(_SECRET_ENDS)


def check(extra: Mapping[str, str]) -> None:
    """ConfigError names each variable that librdkafka does not take. Connects to nothing."""
    faults = []
    for name, value in extra.items():
        fault = KEPT.get(name) or _fault({name: value})
        # Some make sense only together.
        if fault and not fault.startswith(_TOGETHER):
            faults.append(f"{variable(name)}: {fault}")
    if not faults:
        # Together they may still be wrong: a certificate that can't be read, a missing name.
        fault = _fault({"enable.idempotence": True, "acks": "all", **extra})
        if fault:
            named = [variable(name) for name in extra if name in fault]
            what = fault.removeprefix(_TOGETHER)
            faults.append(f"{', '.join(named) or PREFIX + '*'}: {what}")
    if faults:
        raise ConfigError(*faults)


def _fault(settings: Mapping[str, Any]) -> str | None:
    """What librdkafka says against the settings, without their values."""
    # Not at the top: an origin's start does without Kafka's client where there are no settings.
    from confluent_kafka import KafkaException, Producer

    try:
        # Silent: "is a consumer property" and the like are no faults.
        Producer({"log_level": 0, **settings})
    except KafkaException as error:
        text: str = error.args[0].str()
        if text.startswith("No such configuration property"):
            return "librdkafka knows no such setting"
        if text.startswith("Invalid value"):
            return "librdkafka does not take this value"
        for name, value in settings.items():
            if is_secret(name):
                text = text.replace(str(value), "***")
        return text
    return None
