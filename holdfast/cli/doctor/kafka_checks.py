"""Kafka: its brokers, its topics, and whether its logs and Redis fit together."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from holdfast import topics as topics_toml
from holdfast.cli.doctor.findings import Finding, Site, fail, ok, skip, warn
from holdfast.errors import KafkaUnavailableError, LogStartError, UnavailableError
from holdfast.log_start import start_offset
from holdfast.logs import Log, Logs
from holdfast.operator_settings import AUDIT_TOPIC
from holdfast.operator_settings import TOPIC as SETTINGS_TOPIC
from holdfast.state import Partition, State, connect
from holdfast.values import HOME_TOPIC

PART = "kafka"
TIMEOUT_S = 5.0
MUCH_LAG = 10_000  # records: what one read takes
AHEAD_MS = 5_000
CREATES = "start a publisher: it creates what is missing"


def check_kafka(site: Site) -> Iterator[Finding]:
    admin = AdminClient(site.settings.cluster.client())
    try:
        found = admin.list_topics(timeout=TIMEOUT_S)
    except KafkaException as error:
        yield fail(PART, error.args[0].str(), "start it, or correct HOLDFAST_KAFKA")
        return
    brokers = len(found.brokers)
    yield ok(PART, f"{brokers} broker{'s'[: brokers != 1]}")
    wanted = [*site.values.topics, SETTINGS_TOPIC, AUDIT_TOPIC]
    wanted += topics_toml.load(site.settings.values).exact
    there = []
    for name in dict.fromkeys(wanted):
        topic = found.topics.get(name)
        if topic is None or topic.error is not None:
            yield fail(f"topic {name}", "is not there", CREATES)
        else:
            there.append(name)
            yield from _replicas(name, topic, brokers)
    yield from _configurations(admin, there)
    yield from _timestamps(admin, {name: len(found.topics[name].partitions) for name in there})
    fed = [name for name in site.values.topics if name in there]
    yield from _positions(site, {name: len(found.topics[name].partitions) for name in fed})


def _replicas(name: str, topic: Any, brokers: int) -> Iterator[Finding]:
    part = f"topic {name}"
    parts = topic.partitions.values()
    if name in (SETTINGS_TOPIC, AUDIT_TOPIC) and len(parts) != 1:
        yield fail(part, f"has {len(parts)} partitions", "it has to have one: offsets are versions")
    copies = min(len(each.replicas) for each in parts)
    behind = sum(len(each.isrs) < len(each.replicas) for each in parts)
    headless = sum(each.leader < 0 for each in parts)
    detail = f"{len(parts)} partitions, {copies} {'copy' if copies == 1 else 'copies'} of each"
    if headless:
        yield fail(
            part, f"{headless} partitions have no leader", "start the brokers that hold them"
        )
    elif behind:
        yield warn(part, f"{behind} partitions lack a copy in sync", "look after the other brokers")
    elif copies == 1 and brokers > 1:
        yield warn(part, detail, "a broker's disk holds the only copy: reassign it to three")
    else:
        yield ok(part, detail)


def _configurations(admin: AdminClient, names: Iterable[str]) -> Iterator[Finding]:
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    for resource, answer in admin.describe_configs(resources, request_timeout=TIMEOUT_S).items():
        part = f"topic {resource.name}"
        try:
            entries = {name: entry.value for name, entry in answer.result(TIMEOUT_S).items()}
        except (KafkaException, TimeoutError) as error:
            yield skip(part, f"does not show its configuration: {error}")
            continue
        yield from _configuration(part, resource.name, entries)


def _configuration(part: str, name: str, entries: dict[str, Any]) -> Iterator[Finding]:
    compacts = "compact" in str(entries.get("cleanup.policy"))
    if name == SETTINGS_TOPIC and not compacts:
        yield fail(part, "is not compacted", "set cleanup.policy=compact: settings would be lost")
    if name == HOME_TOPIC and compacts:
        yield fail(part, "is compacted", "set cleanup.policy=delete: compaction drops updates")
    retention_ms = int(entries.get("retention.ms") or -1)
    if name == HOME_TOPIC:
        days = retention_ms / 86_400_000
        horizon = "for ever" if retention_ms < 0 else f"{days:g} days"
        yield ok(part, f"keeps records {horizon}: so far back can Redis be rebuilt")
    in_sync = int(entries.get("min.insync.replicas") or 1)
    yield ok(part, f"min.insync.replicas {in_sync}")


def _timestamps(admin: AdminClient, counts: dict[str, int]) -> Iterator[Finding]:
    """Whoever writes records with a clock that is ahead wins over all others, of a `latest`."""
    asked = {
        TopicPartition(name, number): OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]
        for name, count in counts.items()
        for number in range(count)
    }
    now_ms = time.time() * 1000
    answers = admin.list_offsets(asked, request_timeout=TIMEOUT_S)
    ahead: dict[str, float] = {}
    for place, answer in answers.items():
        try:
            newest_ms = answer.result(TIMEOUT_S).timestamp
        except (KafkaException, TimeoutError):
            continue  # told by _positions
        if newest_ms > now_ms + AHEAD_MS:
            ahead[place.topic] = max(ahead.get(place.topic, 0.0), (newest_ms - now_ms) / 1000)
    for topic, seconds in ahead.items():
        yield warn(
            f"topic {topic}",
            f"a record's time is {seconds:.0f} s in the future",
            "run NTP where its producers are: of a latest value nothing older counts until then",
        )
    if not ahead:
        yield ok(PART, "no record's time is in the future")


def _positions(site: Site, counts: dict[str, int]) -> Iterator[Finding]:
    partitions = [Partition(name, number) for name, n in counts.items() for number in range(n)]
    try:
        logs = Logs(site.settings.cluster).look(partitions)
        with connect(site.settings.redis_url) as client:
            state = State(client)
            for topic in counts:
                own = {part: logs[part] for part in partitions if part.topic == topic}
                yield from _position(state, topic, own)
            yield _ready(site, state)
    except KafkaUnavailableError as error:
        yield fail(PART, str(error), "look at its log")
    except UnavailableError as error:
        yield skip(PART, f"how far its records are applied: {error}")


def _position(state: State, topic: str, logs: dict[Partition, Log]) -> Iterator[Finding]:
    left = 0
    for partition, log in logs.items():
        known = state.known(partition)
        try:
            position = start_offset(partition, known, log)
        except LogStartError as error:
            yield fail(
                f"topic {topic}", str(error), "decide: docs/operating.md, A partition is refused"
            )
            continue
        left += max(0, log.high - position)
    detail = f"{left} records are not applied yet"
    if left > MUCH_LAG:
        yield warn(f"topic {topic}", detail, "see whether it falls; start more publishers")
    else:
        yield ok(f"topic {topic}", detail)


def _ready(site: Site, state: State) -> Finding:
    if state.view(site.values.default).ready:
        return ok("state", "publishers vouch for what Redis has")
    return fail(
        "state",
        "no publisher vouches for what Redis has, so origins are not ready",
        "start publishers, or wait until they have replayed Kafka: their logs say how far they are",
    )
