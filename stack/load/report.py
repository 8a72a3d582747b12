"""What a crowd of viewers has seen."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Arrivals:
    """One release on the screens: how many viewers got it; the first and the last, s since 1970."""

    count: int
    first: float
    last: float


@dataclass
class Report:
    """Since the last mark. Times in s, since 1970 where they are moments.

    ready: viewers who got their first event; failed: those who didn't, by reason; lost: streams
    that ended by themselves; went_back: a version that is not newer than the one before, or a
    duplicate; gaps: a release that the viewer had not seen the predecessor of.
    shown_*: one entry for each time that a screen changed or a viewer left: the value that was on
    it, since when, and until when.
    """

    asked: int = 0
    ready: int = 0
    holding: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    deliveries: int = 0
    went_back: int = 0
    gaps: int = 0
    first_ready: float = 0.0
    last_ready: float = 0.0
    until_first_event: array[float] = field(default_factory=lambda: array("d"))
    releases: dict[int, Arrivals] = field(default_factory=dict)
    screens: Counter[int] = field(default_factory=Counter)
    shown_value: array[int] = field(default_factory=lambda: array("q"))
    shown_from: array[float] = field(default_factory=lambda: array("d"))
    shown_until: array[float] = field(default_factory=lambda: array("d"))
    cpu_s: float = 0.0

    def add(self, other: Report) -> None:
        """Take in what another part of the crowd has seen."""
        for name in ("asked", "ready", "holding", "lost", "deliveries", "went_back", "gaps"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.cpu_s += other.cpu_s
        self.failed.update(other.failed)
        self.screens.update(other.screens)
        moments = [moment for moment in (self.first_ready, other.first_ready) if moment]
        self.first_ready = min(moments, default=0.0)
        self.last_ready = max(self.last_ready, other.last_ready)
        for name in ("until_first_event", "shown_value", "shown_from", "shown_until"):
            getattr(self, name).extend(getattr(other, name))
        for version, theirs in other.releases.items():
            ours = self.releases.get(version)
            if ours is None:
                self.releases[version] = theirs
            else:
                ours.count += theirs.count
                ours.first = min(ours.first, theirs.first)
                ours.last = max(ours.last, theirs.last)
