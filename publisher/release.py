"""Releasing: what is due of the values of all own partitions, and what follows from a release."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from holdfast.config import Settings
from holdfast.state import Lost, Owed, Partition, Released, State, Wait
from holdfast.values import Rules, Values
from publisher import metrics
from publisher.announce import Announcement, Announcer
from publisher.confirms import Confirms
from publisher.partitions import Owned
from publisher.schedule import Schedule

REPLAY_PAUSE_S = 0.05
# A value whose last release still waits to be announced is looked at again this much later.
ANNOUNCE_PAUSE_S = 0.002
RELEASE_BATCH = 500  # values in one round trip
# A rate that an operator raises must count at once, however long the old one made us wait.
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
        announcer: Announcer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._values = values
        self._state = state
        self._announcer = announcer
        self._clock = clock
        self._pending: Schedule[Name] = Schedule()
        self._repurges: Schedule[str] = Schedule()
        self._confirms = Confirms()

    def next(self) -> float | None:
        """When something is due next, None when nothing is."""
        dues = (self._pending.next(), self._confirms.next(), self._repurges.next())
        return min((due for due in dues if due is not None), default=None)

    def changed(self, partition: Partition, names: Iterable[str]) -> None:
        """These values may need a release, now."""
        now = self._clock()
        for name in names:
            self._pending.soonest((partition, name), now)

    def forget(self, owned: Owned) -> None:
        """Another publisher owns these values now."""
        for name in owned.names:
            self._pending.drop((owned.partition, name))
            self._repurges.drop(name)
            self._confirms.drop(name)

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
        now = self._clock()
        due: dict[Partition, list[Rules]] = {}
        for partition, name in self._pending.take(now):
            rules = self._values.rules(name)
            if partition not in partitions or rules is None:
                continue
            if not caught_up(partition):
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
            budget_rate=self._settings.budget_rate,
            budget_burst=self._settings.budget_burst,
        )
        for rules, result in zip(values, results, strict=True):
            key = (partition, rules.name)
            if isinstance(result, Lost):
                lost.add(partition)
                continue
            self._pending.drop(key)
            if isinstance(result, Wait):
                self._pending.set(key, now + min(LONGEST_WAIT_S, result.ms / 1000))
            elif isinstance(result, Released | Owed):
                self._pending.set(key, now + RECHECK_S)
                yield self._announcement(partition, rules, result, now)

    def _announcement(
        self, partition: Partition, rules: Rules, result: Released | Owed, now: float
    ) -> Announcement:
        text = self._is_default(rules.name)
        if isinstance(result, Released):
            metrics.RELEASES.inc()
            version, snapshot = result.snapshot.version, result.snapshot
        else:
            version, snapshot = result.version, None
        self._confirms.released(rules.name, version, text=text, at=now, now=now)
        if self._settings.repurge_after:
            self._repurges.set(rules.name, now + self._settings.repurge_after)
        return Announcement(partition, rules.name, version, text, snapshot)

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
        publications = self._confirms.take(now)
        if publications:
            self._announcer.confirm(publications)
        self._announcer.welcome(lambda: self._confirms.settled(now))

    def _is_default(self, name: str) -> bool:
        return name == self._values.default.name
