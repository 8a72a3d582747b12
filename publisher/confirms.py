"""When to confirm: a chained heartbeat at growing ages of a release (DESIGN, "The chain")."""

from __future__ import annotations

from dataclasses import dataclass

from publisher.push import Publication
from publisher.schedule import Schedule

_AGES_S = (3.0, 6.0, 20.0)
_LONGEST_S = 600.0


def next_age(age_s: float) -> float:
    """The age at which a release is confirmed after `age_s`: 3, 6, 20, 40, ... then every 600 s."""
    for later in _AGES_S:
        if later > age_s:
            return later
    return age_s + min(age_s, _LONGEST_S)


@dataclass(slots=True)
class _Newest:
    version: int
    text: bool
    released_at: float
    age_s: float


class Confirms:
    """The newest release of each value, and when it is confirmed next. Times: caller's clock, s."""

    def __init__(self) -> None:
        self._newest: dict[str, _Newest] = {}
        self._schedule: Schedule[str] = Schedule()

    def released(self, name: str, version: int, *, text: bool, at: float, now: float) -> None:
        """A value was released `at`; older versions are not confirmed any more."""
        age = next_age(max(0.0, now - at))
        self._newest[name] = _Newest(version, text, at, age)
        self._schedule.set(name, at + age)

    def drop(self, name: str) -> None:
        """Another publisher owns the value now."""
        self._newest.pop(name, None)
        self._schedule.drop(name)

    def version(self, name: str) -> int | None:
        """The newest version of `name` that was released, None when it isn't ours."""
        newest = self._newest.get(name)
        return None if newest is None else newest.version

    def settled(self, now: float) -> list[Publication]:
        """Confirms of what was confirmed before, in the time within which all is confirmed again.

        Newer releases have their first confirm still to come, and older ones the next.
        """
        return [
            Publication.confirm(name, newest.version, text=newest.text)
            for name, newest in self._newest.items()
            if newest.age_s > _AGES_S[0] and now - newest.released_at < _LONGEST_S
        ]

    def next(self) -> float | None:
        return self._schedule.next()

    def take(self, now: float) -> list[Publication]:
        """The confirms that are due; each is scheduled anew."""
        due = []
        for name in self._schedule.take(now):
            newest = self._newest[name]
            due.append(Publication.confirm(name, newest.version, text=newest.text))
            newest.age_s = next_age(newest.age_s)
            self._schedule.set(name, max(now, newest.released_at + newest.age_s))
        return due
