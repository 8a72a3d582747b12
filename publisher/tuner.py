"""Follows the topic of settings: what operators have set, as far as it was read."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from holdfast.logs import Log
from holdfast.operator_settings import TOPIC, Setting, decode_setting
from holdfast.settings_mirror import SettingsMirror
from holdfast.state import Partition
from holdfast.tuning import Tuning
from publisher import metrics
from publisher.fold import Record

log = logging.getLogger(__name__)

PARTITION = Partition(TOPIC, 0)


class Tuner:
    """Reads the whole topic, and tells Redis; release.lua sees to it that all act on the same.

    position: the offset after the last record that was read. seen: the next offset to read, which
    lies behind markers and what compaction took. reading: its partition is assigned.
    """

    def __init__(self, mirror: SettingsMirror) -> None:
        self._mirror = mirror
        self._settings: dict[str, Setting] = {}
        self._topic_id = ""
        self._replay_to = 0
        self._looked = False
        self._mirrored = False
        self.position = 0
        self.seen = 0
        self.reading = False
        self.tuning = Tuning()

    @property
    def caught_up(self) -> bool:
        """Whether everything was read that was there when Kafka was last asked for the end.

        Before, nothing may be released: an operator may have slowed or paused it.
        """
        return self._looked and self.seen >= self._replay_to

    def knows(self, topic_id: str) -> bool:
        """Whether the topic is still the one that is read."""
        return topic_id == self._topic_id

    def start(self, found: Log) -> None:
        """Read on, to the end that is there now at least."""
        if not self.knows(found.topic_id) or self.seen > found.high:
            if self._topic_id:
                log.warning("%s was re-created: what operators had set is gone", TOPIC)
            self._settings.clear()
            self._topic_id = found.topic_id
            self.position = self.seen = found.low
            self._mirrored = False
            self.tuning = Tuning()
        self.seen = max(self.seen, found.low)
        self._replay_to = found.high
        self._looked = self.reading = True
        self._note()

    def take(self, records: Sequence[Record]) -> list[str]:
        """Records in their order; the keys of which something else may hold now."""
        changed = []
        for record in records:
            if record.offset < self.seen:
                continue
            key, setting = decode_setting(record.key, record.value, record.offset)
            if setting is None:
                if record.value is not None:
                    metrics.REJECTED.labels(TOPIC).inc()
                    log.warning("%s: the record at offset %d is malformed", TOPIC, record.offset)
                self._settings.pop(key, None)
            else:
                self._settings[key] = setting
            changed.append(key)
            self.position = self.seen = record.offset + 1
            self._mirrored = False
        if changed:
            self.tuning = Tuning(self._settings.values())
            self._note()
        return changed

    def pass_end(self, end: int) -> None:
        """Nothing is left before this offset."""
        self.seen = max(self.seen, end)
        self._note()

    def mirror(self) -> None:
        """Tell Redis, if that is due. Raises UnavailableError."""
        if self._mirrored or not self.caught_up:
            return
        known = self._mirror.write(self._topic_id, self.position, self._settings.values())
        # Another publisher has read a record that compaction has taken since: it changes nothing.
        if self.position < known <= self.seen:
            self.position = known
        self._mirrored = True

    def check(self) -> None:
        """Notice a Redis that has lost what it was told. Raises UnavailableError."""
        if self._mirrored:
            self.compare(self._mirror.position())

    def compare(self, known: int) -> None:
        """Redis knows the settings up to `known`. What it lost it is told again, but by one who has
        just asked Kafka for the end: others may have told it more. What is more is on its way.
        """
        if known != self.position:
            self._mirrored = False
        if known < self.position:
            self._looked = self.reading = False

    def _note(self) -> None:
        metrics.SETTINGS_READ.set(self.caught_up)
