"""The relay's loop: read, append to Redis, send to every Pushpin; confirm where it is quiet."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from holdfast.errors import UnavailableError
from holdfast.logs import Log, Logs
from holdfast.relay_state import Appended, Chunk, Place, RelayState
from holdfast.state import Partition
from holdfast.topics import Topics
from publisher import metrics
from publisher.confirms import next_age
from publisher.relay import metrics as counts
from publisher.relay.batch import Batch, Record, batch, chunks, confirm
from publisher.relay.node import RelayNode
from publisher.relay.watch import TopicWatch
from publisher.schedule import Schedule

log = logging.getLogger(__name__)

READ = 2_000  # records at once
BEAT_S = 1.0
# How long a Pushpin that works so far may hold up the others.
PATIENCE_S = 1.0
KEY_AGES_S = (3.0, 6.0, 20.0)
MOST_KEY_CONFIRMS = 10_000


@dataclass(slots=True)
class Quiet:
    """Since when a topic stands at `id`, and at which age that is confirmed next, s."""

    id: str
    since: float
    age_s: float


@dataclass(slots=True)
class Topic:
    """What this relay knows of a topic. positions: of its own partitions, next offsets.

    used: the highest sequence that it has seen. late: found after the start, so that viewers may
    have waited for its first record.
    """

    name: str
    late: bool
    id: str = ""
    used: int = 0
    positions: dict[int, int] = field(default_factory=dict)
    reading: set[int] = field(default_factory=set)
    quiet: Quiet | None = None


class Relay:
    """One member of the group of relays. clock: seconds that only go forward."""

    def __init__(
        self,
        rules: Topics,
        state: RelayState,
        logs: Logs,
        consumer: Consumer,
        watch: TopicWatch,
        nodes: Sequence[RelayNode],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules
        self._state = state
        self._logs = logs
        self._consumer = consumer
        self._watch = watch
        self._nodes = nodes
        self._clock = clock
        self._topics: dict[str, Topic] = {}
        self._subscribed: frozenset[str] = frozenset()
        self._owned: set[Partition] = set()
        self._late: set[str] = set()
        self._looked = False
        self._assigned = False
        self._topic_ids: dict[str, Future[Any]] = {}
        self._key_confirms: Schedule[tuple[str, str, float]] = Schedule()
        self._beat_at = 0.0
        self._backoff_s = 0.0
        self.stepped_at = clock()

    @property
    def ready(self) -> bool:
        """Whether it has looked for topics, and reads whatever it was given of them."""
        if self._watch.topics is None:
            return False
        waiting = any(part.number not in self._topic(part).reading for part in self._owned)
        return (self._assigned or not self._subscribed) and not waiting

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set. Redis and Kafka may come, go and come back meanwhile."""
        while not stopping.is_set():
            try:
                self.step()
                self._backoff_s = 0.0
            except UnavailableError as error:
                metrics.REDIS_ERRORS.inc()
                self._backoff_s = min(1.0, 0.05 + 2 * self._backoff_s)
                log.warning("%s; trying again", error)
                stopping.wait(random.uniform(0.5, 1.0) * self._backoff_s)  # noqa: S311
            except KafkaException as error:
                metrics.KAFKA_ERRORS.inc()
                log.warning("Kafka: %s; trying again", error)
                stopping.wait(0.5)

    def step(self) -> None:
        """One turn. Raises UnavailableError or KafkaException when one of them does not answer."""
        try:
            self._subscribe()
            self._start_reading()
            for partition, records in self._read().items():
                if partition.number in self._topic(partition).reading:
                    self._relay(partition, records)
            self._beat()
        except (UnavailableError, KafkaException):
            # What was under way may have been appended, but not sent: read on from what Redis has.
            for topic in self._topics.values():
                topic.reading.clear()
            raise
        self.stepped_at = self._clock()

    # -- which topics and partitions, from where

    def _subscribe(self) -> None:
        found = self._watch.topics
        if found is None or found.keys() == self._subscribed:
            self._looked = self._looked or found is not None
            return
        if self._looked:
            self._late |= found.keys() - self._subscribed
        self._looked = True
        self._subscribed = frozenset(found)
        log.info("relaying %s", ", ".join(sorted(found)) or "nothing yet")
        if found:
            self._consumer.subscribe(
                sorted(found),
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_revoke,
            )
        else:
            self._consumer.unsubscribe()
            self._owned.clear()

    def _on_assign(self, consumer: Consumer, assigned: Sequence[TopicPartition]) -> None:
        """Take note; reading starts once Redis has said from where."""
        consumer.assign([])
        self._assigned = True
        self._owned = {Partition(part.topic, part.partition) for part in assigned}
        for topic in self._topics.values():
            topic.reading.clear()
            topic.quiet = None
            owned = {part.number for part in self._owned if part.topic == topic.name}
            topic.positions = {n: at for n, at in topic.positions.items() if n in owned}
        log.info("assigned %s", _describe(self._owned))

    def _on_revoke(self, _consumer: Consumer, _revoked: Sequence[TopicPartition]) -> None:
        log.info("gave up %s", _describe(self._owned))
        self._owned = set()
        for topic in self._topics.values():
            topic.reading.clear()
            topic.positions.clear()

    def _topic(self, partition: Partition) -> Topic:
        name = partition.topic
        if name not in self._topics:
            self._topics[name] = Topic(name, name in self._late)
        return self._topics[name]

    def _start_reading(self) -> None:
        waiting = {part for part in self._owned if part.number not in self._topic(part).reading}
        if not waiting:
            return
        for name in {part.topic for part in waiting}:
            topic = self._topics[name]
            place = self._place(topic)
            topic.quiet = None  # confirmed at once: a former owner may have sent less than it wrote
            for part in self._owned:
                if part.topic == name and part.number < len(place.position.offsets):
                    topic.positions[part.number] = place.position.offsets[part.number]
                    topic.reading.add(part.number)
        self._consumer.assign(
            [
                TopicPartition(topic.name, number, topic.positions[number])
                for topic in self._topics.values()
                for number in topic.reading
            ]
        )

    def _place(self, topic: Topic) -> Place:
        """Where the topic stands in Redis; put there, or put right, where it has to be."""
        # First Redis, then Kafka: what others append meanwhile must not look like more than there
        # is in the log.
        place = self._state.place(topic.name)
        found = self._look(topic.name)
        topic_id = found[0].topic_id
        lows = [each.low for each in found]
        if place is None:
            # An empty Redis: what was sent of the own partitions is known here. Of the others
            # viewers find what they miss in Kafka, because their ids are not in the new chain.
            begin = lows if topic.late else [each.high for each in found]
            own = topic.positions if topic.id == topic_id else {}
            offsets = [own.get(number, offset) for number, offset in enumerate(begin)]
            log.info("%s is relayed from offsets %s on", topic.name, offsets)
            place = self._state.put(topic.name, topic_id, offsets, used=topic.used)
        else:
            offsets = list(place.position.offsets)
            beyond = any(
                offset > each.high for offset, each in zip(offsets, found, strict=False)
            ) or len(offsets) > len(found)
            gone = [
                number for number, low in enumerate(lows[: len(offsets)]) if offsets[number] < low
            ]
            if place.topic_id != topic_id or beyond:
                counts.GAPS.labels(topic.name).inc()
                log.error(
                    "%s is not the log that was relayed up to offsets %s: it was re-created, or "
                    "Kafka lost records. It is relayed from its start; viewers are told (reset)",
                    topic.name,
                    offsets,
                )
                place = self._state.put(
                    topic.name,
                    topic_id,
                    lows,
                    used=topic.used,
                    other_log=place.topic_id == topic_id,
                )
            elif gone or len(offsets) < len(found):
                if gone:
                    counts.GAPS.labels(topic.name).inc()
                    log.error(
                        "records of %s%s are gone before they were relayed; viewers are told",
                        topic.name,
                        gone,
                    )
                place = self._state.put(topic.name, topic_id, lows, used=topic.used)
        topic.id = topic_id
        topic.used = max(topic.used, place.position.sequence)
        return place

    def _look(self, name: str) -> list[Log]:
        """The logs of all partitions, by number."""
        first = Partition(name, 0)
        count = self._logs.look([first])[first].partitions
        parts = [Partition(name, number) for number in range(count)]
        found = self._logs.look(parts)
        return [found[part] for part in parts]

    def _again(self, topic: Topic, why: str) -> None:
        """Ask Redis and Kafka anew where the topic stands, before anything more of it is read."""
        counts.REWINDS.labels(topic.name).inc()
        log.warning("%s: %s; going on from what Redis knows", topic.name, why)
        topic.reading.clear()

    # -- reading and relaying

    def _read(self) -> dict[Partition, list[Record]]:
        batches: dict[Partition, list[Record]] = {}
        first = self._consumer.poll(max(0.0, min(BEAT_S, self._beat_at - self._clock())))
        if first is None:
            return batches
        # consume() waits its whole timeout to fill the batch, so: wait for one, take the rest.
        for message in (first, *self._consumer.consume(READ - 1, 0)):
            error = message.error()
            partition = Partition(message.topic() or "", message.partition() or 0)
            if error is None:
                batches.setdefault(partition, []).append(_record(message))
            else:
                metrics.KAFKA_ERRORS.inc()
                log.warning("%s[%d]: %s", partition.topic, partition.number, error)
                topic = self._topics.get(partition.topic)
                if topic is not None and partition in self._owned:
                    # Records that are gone, or a topic that is: looked at again after a beat.
                    topic.reading.discard(partition.number)
        return batches

    def _relay(self, partition: Partition, records: Sequence[Record]) -> None:
        topic = self._topic(partition)
        rules = self._rules.rules(partition.topic)
        if rules is None:
            return
        position = topic.positions[partition.number]
        made = list(chunks(rules, partition.number, position, records))
        results = self._state.append(
            topic.name, topic.id, made, used=topic.used, keep_events=rules.max_replay
        )
        appended: list[tuple[Chunk, Appended]] = []
        for chunk, result in zip(made, results, strict=True):
            if isinstance(result, Appended):
                appended.append((chunk, result))
                topic.used = max(topic.used, result.first + len(chunk.events) - 1)
                topic.positions[partition.number] = chunk.next
                counts.RELAYED.labels(topic.name).inc(len(chunk.events))
        if appended:
            self._send(batch(topic.name, appended))
            self._note_keys(topic.name, appended)
        if len(appended) < len(made):
            self._again(
                topic, f"Redis does not stand at {position} of partition {partition.number}"
            )

    def _send(self, what: Batch) -> None:
        counts.ITEMS.inc()
        for node in self._nodes:
            node.offer(what, PATIENCE_S)

    # -- what is due

    def _beat(self) -> None:
        """Once a second: does Redis know what was relayed, and is a quiet topic to be confirmed?"""
        now = self._clock()
        if now < self._beat_at:
            return
        self._beat_at = now + BEAT_S
        self._watch_ids()
        for topic in [topic for topic in self._topics.values() if topic.reading]:
            place = self._state.place(topic.name)
            if place is None or place.topic_id != topic.id:
                self._again(topic, "Redis has lost it")
            elif any(
                place.position.offset(number) < topic.positions[number] for number in topic.reading
            ):
                self._again(topic, "Redis was rolled back")
            elif 0 in topic.reading:
                self._confirm(topic, place.position.grip_id, now)
        self._confirm_keys(now)

    def _confirm(self, topic: Topic, id_: str, now: float) -> None:
        """The owner of partition 0 confirms, and only where nothing moves: a late item or confirm
        would make every viewer recover, while items that follow each other need none."""
        quiet = topic.quiet
        if quiet is None:
            quiet = topic.quiet = Quiet(id_, now, 0.0)
        elif quiet.id != id_:
            topic.quiet = Quiet(id_, now, next_age(0.0))
            return
        if now - quiet.since >= quiet.age_s:
            quiet.age_s = next_age(quiet.age_s)
            counts.CONFIRMS.inc()
            self._send(confirm(topic.name, [(None, id_)]))

    def _note_keys(self, topic: str, appended: Sequence[tuple[Chunk, Appended]]) -> None:
        now = self._clock()
        for _, result in appended:
            for key in result.key_ids:
                for age_s in KEY_AGES_S:
                    if len(self._key_confirms) < MOST_KEY_CONFIRMS:
                        self._key_confirms.set((topic, key, age_s), now + age_s)

    def _confirm_keys(self, now: float) -> None:
        due: dict[str, set[str]] = {}
        for topic, key, _ in self._key_confirms.take(now):
            due.setdefault(topic, set()).add(key)
        for topic, keys in due.items():
            confirms = self.confirms(topic, keys, whole=False)
            if confirms is not None:
                counts.CONFIRMS.inc()
                self._send(confirms)

    def confirms(self, topic: str, keys: set[str], *, whole: bool = True) -> Batch | None:
        """Confirms of keys, and of the topic itself if `whole`, as Redis has them now."""
        place = self._state.place(topic) if whole else None
        wanted = sorted(keys)
        ids = zip(wanted, self._state.key_ids(topic, wanted), strict=True)
        channels: list[tuple[str | None, str]] = [(key, id_) for key, id_ in ids if id_ is not None]
        if place is not None:
            channels.insert(0, (None, place.position.grip_id))
        return confirm(topic, channels) if channels else None

    def _watch_ids(self) -> None:
        """Notice a topic that was deleted and created again; nobody waits for Kafka's answers."""
        if not all(answer.done() for answer in self._topic_ids.values()):
            return
        for name, answer in self._topic_ids.items():
            topic = self._topics.get(name)
            if topic is None or not topic.reading or answer.exception() is not None:
                continue
            if str(answer.result().topic_id) != topic.id:
                self._again(topic, "it was re-created")
        names = {topic.name for topic in self._topics.values() if topic.reading}
        self._topic_ids = self._logs.ask_ids(names) if names else {}


def _record(message: Any) -> Record:
    return Record(message.offset(), message.key(), message.value(), message.headers())


def _describe(partitions: Iterable[Partition]) -> str:
    names = sorted(f"{part.topic}[{part.number}]" for part in partitions)
    return ", ".join(names) or "nothing"
