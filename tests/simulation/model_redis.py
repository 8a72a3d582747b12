"""What Redis is to Holdfast, in plain Python: what the Lua scripts do, without Redis and Lua.

tests/integration/test_state_model.py holds it against the real scripts; the simulation runs on it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.budget import NO_BUDGET, Budget
from holdfast.operator_settings import Setting
from holdfast.snapshots import Snapshot
from holdfast.state import (
    Counted,
    Fold,
    Known,
    Lost,
    OtherSettings,
    Owed,
    Partition,
    Paused,
    Released,
    ReleaseResult,
    Series,
    View,
    Wait,
)
from holdfast.updates import INT64_MAX, INT64_MIN
from holdfast.values import Rules

DAY_MS = 86_400_000
KEPT_MS = DAY_MS + 3_600_000


@dataclass
class Value:
    value: bytes | None = None
    stamp: tuple[int, int, int] | None = None
    applied: dict[Partition, int] = field(default_factory=dict)
    released: Snapshot | None = None
    reissue: int = 0
    announced: int = 0
    keys: dict[bytes, int] = field(default_factory=dict)

    @property
    def version(self) -> int:
        return 0 if self.released is None else self.released.version

    @property
    def settled(self) -> bool:
        """Nothing to release. Lua compares what is there, and nothing equals nothing."""
        released = None if self.released is None else self.released.json
        return self.value == released and not self.reissue

    def add(self, number: int) -> bool:
        total = int(self.value or 0) + number
        if INT64_MIN <= total <= INT64_MAX:
            self.value = b"%d" % total
            return True
        return False

    def set(self, json: bytes, stamp: tuple[int, int, int]) -> None:
        if self.stamp is None or stamp > self.stamp:
            self.value, self.stamp = json, stamp


@dataclass
class Bucket:
    tokens: float
    at_us: int
    rate: float
    burst: int


@dataclass
class Data:
    """All that a wipe takes away, and a roll back returns to."""

    values: dict[str, Value] = field(default_factory=dict)
    offsets: dict[Partition, int] = field(default_factory=dict)
    topic_ids: dict[Partition, str] = field(default_factory=dict)
    dirty: dict[Partition, set[str]] = field(default_factory=dict)
    released: dict[Partition, dict[str, int]] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    ready: dict[str, tuple[int, dict[int, str]]] = field(default_factory=dict)
    settings: tuple[str, int, dict[str, Setting]] | None = None


class ModelRedis:
    """The server: its data, its clock (us) and its run id."""

    def __init__(self, time_us: int) -> None:
        self.data = Data()
        self.time_us = time_us
        self.run = 0

    @property
    def run_id(self) -> str:
        return f"{self.run:040x}"

    def save(self) -> Data:
        return copy.deepcopy(self.data)

    def restart(self, data: Data | None = None) -> None:
        """Come back with what is given, or with all there was."""
        self.data = copy.deepcopy(data) if data is not None else self.data
        self.run += 1
        self.time_us += 20_000  # no Redis is back within the millisecond of its last release


class ModelState:
    """As holdfast.state.State, method by method."""

    def __init__(self, server: ModelRedis) -> None:
        self.server = server

    @property
    def _data(self) -> Data:
        return self.server.data

    def _value(self, name: str) -> Value:
        return self._data.values.setdefault(name, Value())

    # -- the publisher's side

    def known(self, partition: Partition) -> Known:
        return Known(self._data.offsets.get(partition), self._data.topic_ids.get(partition))

    def note_topic(self, partition: Partition, topic_id: str) -> None:
        self._data.topic_ids[partition] = topic_id

    def _offset(self, partition: Partition, log_start: int) -> int:
        return self._data.offsets.get(partition, log_start)

    def apply(
        self, partition: Partition, log_start: int, batch_first: int, folds: Sequence[Fold]
    ) -> list[tuple[str, int]]:
        return [self._apply(partition, log_start, batch_first, fold) for fold in folds]

    def _apply(
        self, partition: Partition, log_start: int, batch_first: int, fold: Fold
    ) -> tuple[str, int]:
        known = self._offset(partition, log_start)
        if known < batch_first:
            return "REWIND", known
        value = self._value(fold.name)
        applied = value.applied.get(partition, -1)
        if applied >= fold.next:
            return "REPLAY", -1
        if applied > fold.first:
            return "PARTIAL", applied
        if fold.change[0] == "add":
            before = value.value
            for move in fold.change[1:]:
                if not value.add(int(move)):
                    value.value = before
                    if not fold.single:
                        return "OVERFLOW", -1
                    value.applied[partition] = fold.next
                    return "REJECTED", -1
        else:
            _, json, stamp = fold.change
            at, number, offset = (int(part) for part in str(stamp).split())
            value.set(
                bytes(json) if isinstance(json, bytes) else json.encode(), (at, number, offset)
            )
        value.applied[partition] = fold.next
        self._data.dirty.setdefault(partition, set()).add(fold.name)
        return "APPLIED", -1

    def apply_each(
        self,
        partition: Partition,
        log_start: int,
        batch_first: int,
        all_series: Sequence[Series],
        most_keys: int,
    ) -> list[Counted | None]:
        if self._offset(partition, log_start) < batch_first:
            return [None for _ in all_series]
        return [self._apply_series(partition, series, most_keys) for series in all_series]

    def _apply_series(self, partition: Partition, series: Series, most_keys: int) -> Counted:
        value = self._value(series.name)
        applied = value.applied.get(partition, -1)
        duplicates, overflows, counted = 0, [], 0
        horizon: int | None = None
        for offset, at, digest, change in series.updates:
            if offset < applied:
                continue
            if digest:
                if digest in value.keys and at - value.keys[digest] < DAY_MS:
                    duplicates += 1
                    continue
                value.keys[digest] = at
                horizon = at - KEPT_MS if horizon is None else max(at - KEPT_MS, horizon)
                if len(value.keys) > most_keys:
                    del value.keys[min(value.keys, key=lambda key: (value.keys[key], key))]
            counted += 1
            if series.operation == "set":
                value.set(change, (at, partition.number, offset))
            elif not value.add(int(change)):
                overflows.append(offset)
        if horizon is not None:
            value.keys = {key: at for key, at in value.keys.items() if at > horizon}
        value.applied[partition] = max(applied, series.updates[-1].offset + 1)
        if counted:
            self._data.dirty.setdefault(partition, set()).add(series.name)
        return Counted(duplicates, tuple(overflows))

    def advance(
        self, partition: Partition, log_start: int, batch_first: int, next_offset: int
    ) -> int | None:
        known = self._offset(partition, log_start)
        if known < batch_first:
            return known
        self._data.offsets[partition] = max(known, next_offset)
        return None

    def heartbeat(
        self,
        partition: Partition,
        log_start: int,
        position: int,
        partitions: int,
        caught_up: bool,
        run_id: str,
    ) -> tuple[str, int | None]:
        known = self._offset(partition, log_start)
        _, vouched = self._data.ready.get(partition.topic, (0, {}))
        mine = self.server.run_id
        if known < position or run_id not in ("", mine):
            vouched.pop(partition.number, None)
            return mine, known
        if caught_up:
            self._data.ready[partition.topic] = (partitions, {**vouched, partition.number: mine})
        return mine, None

    def release(
        self,
        partition: Partition,
        values: Sequence[Rules],
        *,
        position: int = 0,
        budget: Budget = NO_BUDGET,
        settings: int | None = None,
        now_us: int | None = None,
    ) -> list[ReleaseResult]:
        """Without a budget: that is tests/integration/test_budget.py's."""
        assert budget == NO_BUDGET
        now = self.server.time_us if now_us is None else now_us
        return [self._release(partition, rules, position, settings, now) for rules in values]

    def spend(self, keys: int, budget: Budget) -> None:
        assert budget == NO_BUDGET

    def _release(
        self, partition: Partition, rules: Rules, position: int, settings: int | None, now: int
    ) -> ReleaseResult:
        if self._data.offsets.get(partition, 0) < position:
            return Lost()
        told = -1 if self._data.settings is None else self._data.settings[1]
        if settings not in (None, told):
            return OtherSettings(told)
        tokens = self._fill(rules, now)
        name, value = rules.name, self._data.values.get(rules.name, Value())
        dirty = self._data.dirty.setdefault(partition, set())
        if value.value is None or value.settled:
            if value.version > value.announced:
                return Owed(value.version)
            dirty.discard(name)
            return None
        if rules.paused:
            return Paused()
        if tokens < 1:
            return Wait(math.ceil(min((1 - tokens) / rules.rate, 3600) * 1000))
        self._data.buckets[name] = Bucket(round(tokens - 1, 9), now, rules.rate, rules.burst)
        ms = now // 1000
        assert value.value is not None
        before, value.reissue = max(value.version, value.reissue), 0
        snapshot = Snapshot(name, value.value, max(before + 1, ms), before, ms)
        value.released = snapshot
        dirty.add(name)
        self._data.released.setdefault(partition, {})[name] = ms
        return Released(snapshot)

    def _fill(self, rules: Rules, now: int) -> float:
        bucket = self._data.buckets.get(rules.name)
        if bucket is None:
            return rules.burst
        elapsed = max(0, now - bucket.at_us)
        tokens = bucket.tokens + elapsed * bucket.rate / 1e6
        tokens = min(bucket.burst, rules.burst, tokens)
        if now < bucket.at_us or (bucket.rate, bucket.burst) != (rules.rate, rules.burst):
            self._data.buckets[rules.name] = Bucket(tokens, now, rules.rate, rules.burst)
        return tokens

    def announced(self, partition: Partition, versions: Iterable[tuple[str, int]]) -> None:
        for name, version in versions:
            value = self._data.values.get(name, Value())
            if version > value.version:
                continue
            value.announced = max(value.announced, version)
            if version == value.version and value.settled:
                self._data.dirty.setdefault(partition, set()).discard(name)

    def reissue(self, partition: Partition, versions: Iterable[tuple[str, int]]) -> None:
        for name, version in versions:
            self._value(name).reissue = version
            self._data.dirty.setdefault(partition, set()).add(name)

    def dirty(self, partition: Partition) -> list[str]:
        return sorted(self._data.dirty.get(partition, ()))

    def released(self, partition: Partition) -> list[tuple[str, int, int]]:
        return [
            (name, self._data.values[name].version, at)
            for name, at in sorted(self._data.released.get(partition, {}).items())
        ]

    def snapshots(self, names: Sequence[str]) -> dict[str, Snapshot]:
        found = ((name, self._data.values.get(name)) for name in names)
        return {
            name: value.released
            for name, value in found
            if value is not None and value.released is not None
        }

    def versions(self, names: Sequence[str]) -> dict[str, int]:
        return {name: found.version for name, found in self.snapshots(names).items()}

    # -- the origin's side

    def view(self, rules: Rules, *, history: bool = False) -> View:
        count, vouched = self._data.ready.get(rules.topic, (0, {}))
        mine = self.server.run_id
        ready = count > 0 and all(vouched.get(number) == mine for number in range(count))
        value: Any = self._data.values.get(rules.name)
        return View(ready, None if value is None else value.released)


class ModelMirror:
    """As holdfast.settings_mirror.SettingsMirror, its publisher's half."""

    def __init__(self, server: ModelRedis) -> None:
        self.server = server

    def write(self, topic_id: str, position: int, settings: Iterable[Setting]) -> int:
        told = self.server.data.settings
        if told is None or told[0] != topic_id or told[1] < position:
            told = (topic_id, position, {setting.key: setting for setting in settings})
            self.server.data.settings = told
        return told[1]

    def position(self) -> int:
        told = self.server.data.settings
        return -1 if told is None else told[1]
