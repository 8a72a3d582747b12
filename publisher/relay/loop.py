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

from holdfast.errors import KafkaUnavailableError, UnavailableError
from holdfast.logs import Log, Logs
from holdfast.records import headers, high_watermark
from holdfast.relay_state import Appended, Chunk, Place, RelayState
from holdfast.state import Partition
from holdfast.topics import TopicRules, Topics
from publisher import metrics
from publisher.confirms import next_age
from publisher.fleet import Fleet
from publisher.relay import metrics as counts
from publisher.relay.batch import PUSHPIN, Batch, Limits, Record, batch, chunks, confirm
from publisher.relay.node import MOST_QUEUED, RelayNode
from publisher.relay.owners import owned_by
from publisher.relay.watch import TopicWatch
from publisher.schedule import Schedule

log = logging.getLogger(__name__)

READ = 2_000  # records at once
UNSENT = READ * (MOST_QUEUED + 2)  # a relay that dies has not sent more than so many
BEAT_S = 1.0
OWN_S = 0.5
RETRY_S = 1.0
LEASE_MS = 3_000  # a relay that is silent for so long has its partitions taken over
# How long Pushpins that work so far may hold up the others, together: less than a lease.
PATIENCE_S = 1.0
KEY_PAUSES_S = (3.0, 3.0, 14.0)
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

    rules: what may be shown, None = nothing. used: the highest sequence that it has seen. late:
    found after the start, so that viewers may have waited for its first record.
    """

    name: str
    rules: TopicRules | None
    late: bool
    id: str = ""
    used: int = 0
    positions: dict[int, int] = field(default_factory=dict)
    reading: set[int] = field(default_factory=set)
    quiet: Quiet | None = None
    retry_at: float = 0.0

    @property
    def look(self) -> str:
        return "" if self.rules is None else self.rules.look


class Relay:
    """One of several relays. name: no other has it. clock: seconds that only go forward."""

    def __init__(
        self,
        name: str,
        rules: Topics,
        state: RelayState,
        logs: Logs,
        consumer: Consumer,
        watch: TopicWatch,
        nodes: Fleet[RelayNode],
        clock: Callable[[], float] = time.monotonic,
        limits: Limits = PUSHPIN,
    ) -> None:
        self._name = name
        self._limits = limits
        self._rules = rules
        self._state = state
        self._logs = logs
        self._consumer = consumer
        self._watch = watch
        self._nodes = nodes
        self._clock = clock
        self._topics: dict[str, Topic] = {}
        self._found: frozenset[str] | None = None
        self._owned: set[Partition] = set()
        self._late: set[str] = set()
        self._topic_ids: dict[str, Future[Any]] = {}
        # Where a key's chain stood when it was looked at, and how often it stood still.
        self._keys: dict[tuple[str, str], tuple[str, int]] = {}
        self._key_confirms: Schedule[tuple[str, str]] = Schedule()
        self._own_at = self._beat_at = self._lease_at = 0.0
        self._backoff_s = 0.0
        self.stepped_at = clock()

    @property
    def ready(self) -> bool:
        """Whether it has looked for topics, and reads whatever it was given of them."""
        owned = self._owned
        return self._found is not None and not any(self._waits(part) for part in owned)

    def _waits(self, part: Partition) -> bool:
        topic = self._topics.get(part.topic)
        return topic is None or part.number not in topic.reading

    def behind(self) -> dict[Partition, int]:
        """Records that each partition which is read has left, as far as Kafka has told.

        For any thread.
        """
        left = {}
        for partition in list(self._owned):
            topic = self._topics.get(partition.topic)
            position = None if topic is None else topic.positions.get(partition.number)
            end = high_watermark(self._consumer, partition)
            if position is not None and end is not None:
                left[partition] = max(0, end - position)
        return left

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set. Redis and Kafka may come, go and come back meanwhile."""
        while not stopping.is_set():
            try:
                self.step()
                self._backoff_s = 0.0
            except UnavailableError as error:  # never Kafka's: _place looks after those
                metrics.REDIS_ERRORS.inc()
                self._backoff_s = min(1.0, 0.05 + 2 * self._backoff_s)
                log.warning("%s; trying again", error)
                stopping.wait(random.uniform(0.5, 1.0) * self._backoff_s)  # noqa: S311
            except KafkaException as error:
                metrics.KAFKA_ERRORS.inc()
                log.warning("Kafka: %s; trying again", error)
                stopping.wait(0.5)

    def leave(self) -> None:
        """Let the others take over at once."""
        try:
            self._state.members(self._name, 0)
        except UnavailableError as error:
            log.info("%s: the others take over when the lease ends", error)

    def step(self) -> None:
        """One turn. Raises UnavailableError or KafkaException when one of them does not answer."""
        try:
            now = self._clock()
            if now >= self._own_at:
                self._own_at = now + OWN_S
                self._take_over()
            self._start_reading()
            for partition, records in self._read().items():
                if self._clock() >= self._lease_at:
                    self._stay()
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

    def _stay(self) -> list[str]:
        """Say that this relay is alive; all that are."""
        self._lease_at = self._clock() + OWN_S
        return self._state.members(self._name, LEASE_MS)

    def _take_over(self) -> None:
        """Find out which partitions are this relay's, of those that there are now."""
        members = self._stay()
        found = self._watch.topics
        if found is None:
            return
        if self._found is not None:
            self._late |= found.keys() - self._found
        self._found = frozenset(found)
        owned = owned_by(self._name, members, found)
        if owned == self._owned:
            return
        log.info("of %d relays this one has %s", len(members), _describe(owned))
        for part in self._owned - owned:
            topic = self._topic(part)
            topic.reading.discard(part.number)
            topic.positions.pop(part.number, None)
        self._owned = owned
        self._topics = {name: topic for name, topic in self._topics.items() if name in found}
        self._assign()

    def _topic(self, partition: Partition) -> Topic:
        name = partition.topic
        if name not in self._topics:
            self._topics[name] = Topic(name, self._rules.rules(name), name in self._late)
        return self._topics[name]

    def _start_reading(self) -> None:
        now = self._clock()
        names = {part.topic for part in self._owned if self._waits(part)}
        topics = [self._topic(Partition(name, 0)) for name in sorted(names)]
        waiting = [topic for topic in topics if topic.retry_at <= now]
        if not waiting:
            return
        for topic in waiting:
            place = self._place(topic)
            if place is None:
                topic.retry_at = now + RETRY_S
                continue
            # A former owner may have sent less than it wrote.
            self._confirm_soon(topic)
            for part in self._owned:
                if part.topic == topic.name and part.number < len(place.position.offsets):
                    topic.positions[part.number] = place.position.offsets[part.number]
                    topic.reading.add(part.number)
        self._assign()

    def _assign(self) -> None:
        self._consumer.assign(
            [
                TopicPartition(topic.name, number, topic.positions[number])
                for topic in self._topics.values()
                for number in topic.reading
            ]
        )

    def _place(self, topic: Topic) -> Place | None:
        """Where the topic stands in Redis; put there, or put right, where it has to be.

        None when Kafka does not say where its logs begin and end: no other topic waits for that.
        """
        # First Redis, then Kafka: what others append meanwhile must not look like more than there
        # is in the log.
        place = self._state.place(topic.name)
        try:
            found = self._look(topic.name)
        except KafkaUnavailableError as error:
            metrics.KAFKA_ERRORS.inc()
            log.warning("%s is not relayed for now: %s", topic.name, error)
            return None
        topic_id = found[0].topic_id
        lows = [each.low for each in found]
        if place is None:
            # An empty Redis: what was sent of the own partitions is known here. Of the others
            # viewers find what they miss in Kafka, because their ids are not in the new chain.
            begin = lows if topic.late else [each.high for each in found]
            own = topic.positions if topic.id == topic_id else {}
            offsets = [own.get(number, offset) for number, offset in enumerate(begin)]
            log.info("%s is relayed from offsets %s on", topic.name, offsets)
            place = self._state.put(topic.name, topic_id, offsets, look=topic.look, used=topic.used)
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
                    look=topic.look,
                    used=topic.used,
                    other_log=place.topic_id == topic_id,
                )
            elif gone or len(offsets) < len(found) or place.look != topic.look:
                if place.look != topic.look:
                    log.info("%s is shown in another way; its events are read again", topic.name)
                if gone:
                    counts.GAPS.labels(topic.name).inc()
                    log.error(
                        "records of %s%s are gone before they were relayed; viewers are told",
                        topic.name,
                        gone,
                    )
                place = self._state.put(
                    topic.name, topic_id, lows, look=topic.look, used=topic.used
                )
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
        due = min(self._beat_at, self._own_at)
        first = self._consumer.poll(max(0.0, due - self._clock()))
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
                if topic is not None and partition.number in topic.reading:
                    # Records or a topic that are gone, or may not be read: looked at again then.
                    topic.reading.discard(partition.number)
                    topic.retry_at = self._clock() + RETRY_S
        return batches

    def _relay(self, partition: Partition, records: Sequence[Record]) -> None:
        topic = self._topic(partition)
        rules = topic.rules
        if rules is None:
            return
        position = topic.positions[partition.number]
        # After assign() what was in hand may come once more.
        records = [record for record in records if record.offset >= position]
        made = list(chunks(rules, partition.number, position, records, self._limits))
        results = self._state.append(
            topic.name,
            topic.id,
            made,
            look=topic.look,
            used=topic.used,
            keep_events=rules.max_replay,
        )
        appended: list[tuple[Chunk, Appended]] = []
        for chunk, result in zip(made, results, strict=True):
            if isinstance(result, Appended):
                appended.append((chunk, result))
                topic.used = max(topic.used, result.first + len(chunk.events) - 1)
                topic.positions[partition.number] = chunk.next
                counts.RELAYED.labels(topic.name).inc(len(chunk.events))
        if appended:
            self._send(batch(topic.name, appended, self._limits))
            self._note_keys(topic.name, {key for _, result in appended for key in result.key_ids})
        if len(appended) < len(made):
            self._again(
                topic, f"Redis does not stand at {position} of partition {partition.number}"
            )

    def _send(self, what: Batch) -> None:
        counts.ITEMS.inc()
        until = self._clock() + PATIENCE_S
        for node in self._nodes:
            node.offer(what, max(0.0, until - self._clock()))

    # -- what is due

    def _beat(self) -> None:
        """Once a second: does Redis know what was relayed, and is a quiet topic to be confirmed?"""
        now = self._clock()
        if now < self._beat_at:
            return
        self._beat_at = now + BEAT_S
        self._watch_ids()
        if self._nodes.newcomers():
            # Their viewers may have missed something: as after a takeover.
            for topic in self._topics.values():
                self._confirm_soon(topic)
        for topic in [topic for topic in self._topics.values() if topic.reading]:
            place = self._state.place(topic.name)
            if place is None or place.topic_id != topic.id:
                self._again(topic, "Redis has lost it")
            elif place.look != topic.look:
                self._again(topic, "another relay shows it in another way")
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
        if quiet is None or quiet.id != id_:
            # After a takeover at the next beat already: something may not have been sent.
            topic.quiet = Quiet(id_, now, 0.0 if quiet is None else next_age(0.0))
        elif now - quiet.since >= quiet.age_s:
            quiet.age_s = next_age(quiet.age_s)
            counts.CONFIRMS.inc()
            self._send(confirm(topic.name, [(None, id_)], self._limits))

    def _confirm_soon(self, topic: Topic) -> None:
        """The topic, if it is quiet, at the next beat, and its newest keys."""
        topic.quiet = None
        if topic.rules is not None and topic.rules.by_key:
            self._note_keys(topic.name, self._state.newest_keys(topic.name, UNSENT))

    def _note_keys(self, topic: str, keys: Iterable[str]) -> None:
        for key in keys:
            name = (topic, key)
            if name not in self._keys and len(self._keys) < MOST_KEY_CONFIRMS:
                self._keys[name] = "", 0
                self._key_confirms.set(name, self._clock() + KEY_PAUSES_S[0])

    def _confirm_keys(self, now: float) -> None:
        """Confirm keys whose chains stood still for 3, 6 and 20 s; then they are forgotten."""
        due: dict[str, list[str]] = {}
        for topic, key in self._key_confirms.take(now):
            due.setdefault(topic, []).append(key)
            self._key_confirms.set((topic, key), now + BEAT_S)  # if Redis can't be asked now
        for topic, keys in due.items():
            still: list[tuple[str | None, str]] = []
            for key, id_ in zip(keys, self._state.key_ids(topic, keys), strict=True):
                before, number = self._keys[topic, key]
                number = number + 1 if id_ == before else 0
                if id_ is not None and id_ == before:
                    still.append((key, id_))
                if id_ is None or number == len(KEY_PAUSES_S):
                    del self._keys[topic, key]
                    self._key_confirms.drop((topic, key))
                else:
                    self._keys[topic, key] = id_, number
                    self._key_confirms.set((topic, key), now + KEY_PAUSES_S[number])
            if still:
                counts.CONFIRMS.inc()
                self._send(confirm(topic, still, self._limits))

    def confirms(self, topic: str, keys: set[str]) -> Batch | None:
        """Confirms of a topic and of keys of it, as Redis has them now."""
        place = self._state.place(topic)
        wanted = sorted(keys)
        ids = zip(wanted, self._state.key_ids(topic, wanted), strict=True)
        channels: list[tuple[str | None, str]] = [(key, id_) for key, id_ in ids if id_ is not None]
        if place is not None:
            channels.insert(0, (None, place.position.grip_id))
        return confirm(topic, channels, self._limits) if channels else None

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
    return Record(message.offset(), message.key(), message.value(), headers(message))


def _describe(partitions: Iterable[Partition]) -> str:
    names = sorted(f"{part.topic}[{part.number}]" for part in partitions)
    return ", ".join(names) or "nothing"
