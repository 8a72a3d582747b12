"""Writes what operators set to Kafka, so that of two who write at once none overwrites unseen.

All writers share one transactional id. Kafka lets only the newest of them write, and a newcomer
ends whatever another one had begun. So: become the writer, read the topic to its end, decide by
that, write, commit. Whoever was overtaken in between is told so by Kafka, and starts again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from holdfast.errors import KafkaUnavailableError
from holdfast.kafka import Cluster
from holdfast.operator_settings import (
    AUDIT_TOPIC,
    TOPIC,
    Change,
    Setting,
    Thing,
    decode_change,
    decode_setting,
)
from holdfast.tuning import Tuning
from origin.replay import Done, GoneError, Replay

# Kafka's client is imported with the first change, as in produce.py.
if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

log = logging.getLogger(__name__)

TRANSACTIONAL_ID = "holdfast-settings"
STEP_S = 4.0  # for each question to Kafka
PATIENCE_S = 8.0  # well below the edge's 10 s, by which it would call the origin sick
# What a writer that died left open is ended by Kafka after this at the latest; readers wait for it.
TRANSACTION_MS = 10_000
# Being overtaken is nothing to shout about. What else goes wrong is raised, or comes to _on_error.
_quiet = logging.getLogger(f"{__name__}.librdkafka")
_quiet.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class Written:
    """version: the offset of the record, or of the one that said the same already.

    tuning: all that is set from then on.
    """

    version: int
    tuning: Tuning


@dataclass(frozen=True, slots=True)
class Audited:
    """A change, and its place in the audit."""

    offset: int
    change: Change


class SettingsLog:
    """Connects when first used, in the process that asks. clock: s; wall: s since 1970."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._cluster = cluster
        # Of its own: viewers' reads keep no operator waiting.
        self._replay = Replay(cluster, fetch_wait_ms=10)
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._producer: Producer | None = None

    def change(
        self, key: str, who: str, decide: Callable[[Tuning], Thing | None], *, always: bool = False
    ) -> Written:
        """Set `key` to what `decide` says, given all that is set; None unsets it.

        decide: raises SettingError to refuse. always: write also what is set already. Raises
        KafkaUnavailableError; the change may have been made all the same.
        """
        from confluent_kafka import KafkaException

        deadline = self._clock() + PATIENCE_S
        if not self._lock.acquire(timeout=STEP_S):
            raise KafkaUnavailableError("another change of settings takes too long")
        try:
            while True:
                try:
                    return self._attempt(key, who, decide, always)
                except KafkaException as error:
                    self._producer = None
                    fault: Any = error.args[0]
                    if not _overtaken(fault) or self._clock() > deadline:
                        raise KafkaUnavailableError(f"Kafka: {fault}") from error
                    log.info("another origin wrote settings meanwhile: once more")
                    time.sleep(random.uniform(0.01, 0.1))  # noqa: S311
        finally:
            self._lock.release()

    def audit(self, most: int, before: int | None = None) -> list[Audited]:
        """The newest changes, at most `most`, newest first; those below offset `before`."""
        (found,) = self._replay.ends(AUDIT_TOPIC, 1)
        end = found.high if before is None else min(before, found.high)
        changes: list[Audited] = []
        # Every change is followed by the marker of its transaction.
        while end > found.low and len(changes) < most:
            start = max(found.low, end - 2 * most)
            some = [
                Audited(offset, change)
                for offset, _, value in self._read(AUDIT_TOPIC, start, end)
                if (change := decode_change(value)) is not None
            ]
            changes += reversed(some)
            end = start
        return changes[:most]

    def _attempt(
        self, key: str, who: str, decide: Callable[[Tuning], Thing | None], always: bool
    ) -> Written:
        producer = self._writer()
        tuning = self._table()
        before = tuning.get(key)
        after = decide(tuning)
        if not always and after == (None if before is None else before.to):
            return Written(0 if before is None else before.version, tuning)
        at_ms = round(self._wall() * 1000)
        change = Change(key, who, at_ms, None if before is None else before.to, after)
        version = self._commit(producer, change)
        setting = None if after is None else Setting(key, version, who, at_ms, after)
        return Written(version, tuning.having(key, setting))

    def _table(self) -> Tuning:
        (found,) = self._replay.ends(TOPIC, 1)
        settings: dict[str, Setting] = {}
        for offset, raw_key, value in self._read(TOPIC, found.low, found.high):
            key, setting = decode_setting(raw_key, value, offset)
            settings.pop(key, None)
            if setting is not None:
                settings[key] = setting
        return Tuning(settings.values())

    def _read(
        self, topic: str, start: int, end: int
    ) -> list[tuple[int, bytes | None, bytes | None]]:
        """Offset, key and value of every record from `start` to before `end`."""
        records: list[tuple[int, bytes | None, bytes | None]] = []
        if start >= end:
            return []
        try:
            for item in self._replay.read(topic, {0: start}, {0: end}):
                if isinstance(item, Done):
                    return records
                records.append((item.offset, item.key, item.value))
        except GoneError as error:
            raise KafkaUnavailableError(f"{topic} changed meanwhile: {error}") from error
        raise KafkaUnavailableError(f"{topic} is not delivered")

    def _writer(self) -> Producer:
        from confluent_kafka import Producer

        if self._producer is None:
            producer = Producer(
                self._cluster.client(
                    {
                        "transactional.id": TRANSACTIONAL_ID,
                        "transaction.timeout.ms": TRANSACTION_MS,
                        "message.timeout.ms": int(STEP_S * 1000),
                        "linger.ms": 0,
                        "error_cb": _on_error,
                    }
                ),
                logger=_quiet,
            )
            # Asked for its coordinator before it is connected, it asks again after half a second.
            producer.list_topics(TOPIC, STEP_S)
            producer.init_transactions(STEP_S)
            self._producer = producer
        return self._producer

    def _commit(self, producer: Producer, change: Change) -> int:
        """Write the change and its audit, both or none. The offset in `settings`."""
        from confluent_kafka import KafkaError, KafkaException

        offsets: list[int] = []

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is None and message.topic() == TOPIC:
                offsets.append(message.offset())  # type: ignore[arg-type]

        key, audited = change.key.encode(), change.masked
        holds = replace(change, before=audited.before)
        producer.begin_transaction()
        for topic, value in (
            (TOPIC, None if change.after is None else holds.encode()),
            (AUDIT_TOPIC, audited.encode()),
        ):
            producer.produce(topic, key=key, value=value, partition=0, on_delivery=on_delivery)
        producer.flush(STEP_S)
        producer.commit_transaction(STEP_S)
        if not offsets:
            raise KafkaException(KafkaError(KafkaError._STATE))
        return offsets[0]


def _on_error(error: KafkaError) -> None:
    if not _overtaken(error):
        log.warning("Kafka: %s", error)


def _overtaken(error: KafkaError) -> bool:
    """Whether another writer came in between."""
    fenced = (error._FENCED, error.INVALID_PRODUCER_EPOCH, error.PRODUCER_FENCED)
    return error.code() in fenced
