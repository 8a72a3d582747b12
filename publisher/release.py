"""Releasing: what is due of the values of all own partitions, and what follows from a release."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from holdfast.budget import Budget
from holdfast.config import Settings
from holdfast.state import Lost, OtherSettings, Owed, Partition, Released, State, Wait
from holdfast.tuning import BUDGET, DEFAULT
from holdfast.values import Rules, Values
from publisher import metrics
from publisher.activity import Activity
from publisher.announce import Announcement, Announcer
from publisher.confirms import Confirms
from publisher.partitions import Owned
from publisher.schedule import Schedule
from publisher.trail import Trail
from publisher.tuner import Tuner

REPLAY_PAUSE_S = 0.05
# A value whose last release still waits to be announced is looked at again this much later.
ANNOUNCE_PAUSE_S = 0.002
# Another publisher has read settings that come to this one in a moment.
SETTINGS_PAUSE_S = 0.005
RELEASE_BATCH = 500  # values in one round trip
# Redis's clock may jump, and somebody may have given a bucket a token.
LONGEST_WAIT_S = 1.0
# An announcement that was not noted in Redis is looked after this much later.
RECHECK_S = 5.0
MAX_AGE_S = 300  # of the edge's copies: Surrogate-Control in origin/answers.py

Name = tuple[Partition, str]


class Releaser:
    """Knows when each value is to be released, confirmed and purged again. clock: s."""

    def __init__(
        self,
        settings: Settings,
        values: Values,
        state: State,
        tuner: Tuner,
        announcer: Announcer,
        trail: Trail,
        clock: Callable[[], float] = time.monotonic,
        activity: Activity | None = None,
    ) -> None:
        self._trail = trail
        self._activity = activity or Activity()
        self._repurge_after_s = settings.repurge_after
        self._unset_budget = Budget(settings.budget_per_second, settings.budget_per_hour)
        self._values = values
        self._state = state
        self._tuner = tuner
        self._announcer = announcer
        self._clock = clock
        self._pending: Schedule[Name] = Schedule()
        self._repurges: Schedule[str] = Schedule()
        self._confirms = Confirms()
        self._in_effect: dict[str, Rules] = {}
        self._unpaid = 0

    def next(self) -> float | None:
        """When something is due next, None when nothing is."""
        dues = (self._pending.next(), self._confirms.next(), self._repurges.next())
        return min((due for due in dues if due is not None), default=None)

    def changed(self, partition: Partition, names: Iterable[str]) -> None:
        """These values may need a release, now."""
        now = self._clock()
        for name in names:
            self._pending.soonest((partition, name), now)

    def retune(self, keys: Iterable[str], owned: Sequence[Owned], wall_ms: float) -> None:
        """Operators have set these keys anew: look at every value to which that may matter, now.

        Also at those that have nothing to release: their buckets fill by the new rate from now on.
        """
        now = self._clock()
        before: dict[str, Rules] | None = None
        names: set[str] = set()
        purges: set[str] = set()
        for key in keys:
            kind, _, name = key.partition(":")
            if kind in ("value", "pause"):
                self._in_effect.pop(name, None)
                names.add(name)
            elif kind in ("family", DEFAULT):
                before = self._in_effect if before is None else before
                self._in_effect = {}
            elif kind == BUDGET:
                self._pending.hasten(now)
            elif kind == "purge":
                purges.add(name)
        for each in owned:
            some = names & each.names
            if before is not None:
                some |= {name for name in each.names if before.get(name) != self._rules(name)}
            self.changed(each.partition, some)
        self._purge_as_told(purges, owned, wall_ms)

    def _purge_as_told(self, names: Iterable[str], owned: Iterable[Owned], wall_ms: float) -> None:
        """Purge and confirm what operators asked for, unless the edge has dropped it by itself."""
        for name in names:
            if abs(wall_ms - self._tuner.tuning.purged_at_ms(name)) > MAX_AGE_S * 1000:
                continue
            partition = next((each.partition for each in owned if name in each.names), None)
            if partition is None:
                continue  # another publisher's
            version = self._confirms.version(name) or 0
            text = self._is_default(name)
            self._announcer.announce([Announcement(partition, name, version, text, None)])
            self._unpaid += 1

    def forget(self, owned: Owned) -> None:
        """Another publisher owns these values now."""
        self._trail.forget(owned.names)
        for name in owned.names:
            self._pending.drop((owned.partition, name))
            self._repurges.drop(name)
            self._confirms.drop(name)
            self._in_effect.pop(name, None)

    def inherit(self, owned: Owned, wall_ms: float) -> None:
        """Take over what a former owner, or this one on a former Redis, may not have finished.

        wall_ms: since 1970.
        """
        now = self._clock()
        recent, forgotten = [], []
        for name, version, released_at_ms in self._state.released(owned.partition):
            owned.names.add(name)
            announced = self._confirms.version(name)
            if announced is not None and announced > version:
                # The same value may come out of the replay: it needs a version above what was
                # shown meanwhile.
                forgotten.append((name, announced))
                continue
            # Confirmed soon, however old: viewers may have seen what this Redis knows nothing of.
            self._confirms.released(name, version, text=self._is_default(name), at=now, now=now)
            if wall_ms - released_at_ms < MAX_AGE_S * 1000:
                recent.append((name, version))
        if forgotten:
            self._state.reissue(owned.partition, forgotten)
        if recent:
            # An edge may have missed these, and only the former owner knew.
            self._announcer.purge(recent)
            self._unpaid += len(recent)
        asked = (name for name in owned.names if self._tuner.tuning.purged_at_ms(name))
        self._purge_as_told(list(asked), [owned], wall_ms)
        owned.inherited = True

    def release(
        self,
        partitions: Mapping[Partition, Owned],
        caught_up: Callable[[Partition], bool],
        announcements: list[Announcement],
    ) -> set[Partition]:
        """Release what is due and may be released; adds what is to be announced of it.

        Returns the partitions of which Redis has lost something. Raises UnavailableError; what was
        added by then is released all the same.
        """
        if self._unpaid and self._tuner.caught_up:
            self._state.spend(self._unpaid, self._budget)
            self._unpaid = 0
        now = self._clock()
        due: dict[Partition, list[Rules]] = {}
        for partition, name in self._pending.take(now):
            rules = self._rules(name)
            if partition not in partitions or rules is None:
                continue
            if not self._tuner.caught_up or not caught_up(partition):
                self._pending.set((partition, name), now + REPLAY_PAUSE_S)
            elif self._announcer.waits(name):
                self._pending.set((partition, name), now + ANNOUNCE_PAUSE_S)
            else:
                due.setdefault(partition, []).append(rules)
        lost: set[Partition] = set()
        for partition, values in due.items():
            for start in range(0, len(values), RELEASE_BATCH):
                batch = values[start : start + RELEASE_BATCH]
                announcements.extend(self._batch(partitions[partition], batch, lost))
        return lost

    def _batch(
        self, owned: Owned, values: Sequence[Rules], lost: set[Partition]
    ) -> Iterator[Announcement]:
        now = self._clock()
        partition = owned.partition
        for rules in values:  # if Redis fails now, all of them are still due
            self._pending.set((partition, rules.name), now)
        results = self._state.release(
            partition,
            values,
            position=owned.position,
            budget=self._budget,
            settings=self._tuner.position,
        )
        for rules, result in zip(values, results, strict=True):
            key = (partition, rules.name)
            if isinstance(result, Lost):
                lost.add(partition)
                continue
            self._pending.drop(key)
            if isinstance(result, Wait):
                self._pending.set(key, now + min(LONGEST_WAIT_S, result.ms / 1000))
            elif isinstance(result, OtherSettings):
                self._tuner.compare(result.position)
                self._pending.set(key, now + SETTINGS_PAUSE_S)
            elif isinstance(result, Released | Owed):
                self._pending.set(key, now + RECHECK_S)
                yield self._announcement(partition, rules, result, now)
            elif result is None:
                # A replay: what was applied had been, and was released.
                self._trail.forget([rules.name])

    def _announcement(
        self, partition: Partition, rules: Rules, result: Released | Owed, now: float
    ) -> Announcement:
        text = self._is_default(rules.name)
        if isinstance(result, Released):
            metrics.RELEASES.inc()
            self._activity.release(rules.name)
            version, snapshot = result.snapshot.version, result.snapshot
            trace = self._trail.take(rules.name)
        else:
            version, snapshot, trace = result.version, None, None
            self._trail.forget([rules.name])
        self._confirms.released(rules.name, version, text=text, at=now, now=now)
        if self._repurge_after_s:
            self._repurges.set(rules.name, now + self._repurge_after_s)
        return Announcement(partition, rules.name, version, text, snapshot, trace)

    def confirm(self) -> None:
        """Confirm what is due, and purge again where that was asked for."""
        now = self._clock()
        again = [
            (name, version)
            for name in self._repurges.take(now)
            if (version := self._confirms.version(name)) is not None
        ]
        if again:
            self._announcer.purge(again)
            self._unpaid += len(again)
        publications = self._confirms.take(now)
        if publications:
            self._announcer.confirm(publications)
        self._announcer.welcome(lambda: self._confirms.settled(now))

    @property
    def _budget(self) -> Budget:
        return self._tuner.tuning.budget(self._unset_budget)

    def _rules(self, name: str) -> Rules | None:
        """The rules in effect; None for a name that values.toml doesn't cover."""
        rules = self._in_effect.get(name)
        if rules is None:
            written = self._values.rules(name)
            if written is None:
                return None
            rules = self._in_effect[name] = self._tuner.tuning.rules(written)
        return rules

    def _is_default(self, name: str) -> bool:
        return name == self._values.default.name
