"""A publisher on a real Redis, between a Kafka in memory and an announcer that takes notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import redis

from holdfast.config import Settings
from holdfast.errors import UnavailableError
from holdfast.settings_mirror import SettingsMirror
from holdfast.state import Counted, Fold, Partition, Series, State
from holdfast.values import Values, parse
from publisher.announce import Announcement
from publisher.loop import Publisher
from publisher.push import Publication
from publisher.tuner import Tuner
from tests.integration.fake_kafka import FakeConsumer, FakeLog, FakeLogs, FakeProducer

VALUES = """
[defaults]
rate = 1000.0
[values.counter]
reduce = "sum"
default = true
[values.visits]
reduce = "sum"
[values.headline]
reduce = "latest"
"""


def save(client: redis.Redis) -> dict[bytes, bytes]:
    """All that Redis knows now, for `roll_back`."""
    return {key: client.dump(key) for key in client.keys("*")}


def roll_back(client: redis.Redis, saved: dict[bytes, bytes]) -> None:
    """Make Redis forget what came since `save`, as a restart from an older AOF does."""
    client.flushall()
    for key, dumped in saved.items():
        # A restart has another run id: nobody has vouched for this Redis.
        if not key.startswith(b"ready:"):
            client.restore(key, 0, dumped)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FlakyState(State):
    """A State whose Redis goes away when the test says so: before, within or after a call."""

    fault: tuple[str, int] | None = None

    def _fails(self, call: str) -> int | None:
        if self.fault is not None and self.fault[0] == call:
            place, self.fault = self.fault[1], None
            return place
        return None

    def apply(
        self, partition: Partition, log_start: int, batch_first: int, folds: Sequence[Fold]
    ) -> list[tuple[str, int]]:
        place = self._fails("apply")
        if place is not None:
            super().apply(partition, log_start, batch_first, folds[:place])
            raise UnavailableError("gone within a pipeline")
        return super().apply(partition, log_start, batch_first, folds)

    def apply_each(
        self,
        partition: Partition,
        log_start: int,
        batch_first: int,
        all_series: Sequence[Series],
        most_keys: int,
    ) -> list[Counted | None]:
        place = self._fails("apply_each")
        if place is not None:
            super().apply_each(partition, log_start, batch_first, all_series[:place], most_keys)
            raise UnavailableError("gone within a pipeline")
        return super().apply_each(partition, log_start, batch_first, all_series, most_keys)

    def advance(
        self, partition: Partition, log_start: int, batch_first: int, next_offset: int
    ) -> int | None:
        place = self._fails("advance")
        if place == 0:
            raise UnavailableError("gone before")
        answer = super().advance(partition, log_start, batch_first, next_offset)
        if place is not None:
            raise UnavailableError("gone after")
        return answer

    def release(self, *args, **kwargs):
        place = self._fails("release")
        if place == 0:
            raise UnavailableError("gone before")
        answer = super().release(*args, **kwargs)
        if place is not None:
            raise UnavailableError("gone after")
        return answer


class NotingAnnouncer:
    """Announces at once, unless it is `silent`: then it is as if it died before noting it."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.announcements: list[Announcement] = []
        self.confirms: list[Publication] = []
        self.purged: list[tuple[str, int]] = []
        self.silent = False
        self.waiting: set[str] = set()

    def waits(self, name: str) -> bool:
        return name in self.waiting

    def announce(self, announcements: Sequence[Announcement]) -> None:
        self.announcements.extend(announcements)
        if self.silent:
            return
        for item in announcements:
            self.state.announced(item.partition, [(item.name, item.version)])

    def confirm(self, publications: Sequence[Publication]) -> None:
        self.confirms.extend(publications)

    def welcome(self, missed: Callable[[], Sequence[Publication]]) -> None:
        """Nobody joins."""

    def purge(self, versions: Sequence[tuple[str, int]]) -> None:
        self.purged.extend(versions)


class PublisherBench:
    """One publisher and everything around it."""

    def __init__(
        self,
        client: redis.Redis,
        log: FakeLog,
        *,
        places: Sequence[tuple[str, int]] = (("updates", 0),),
        values: Values | None = None,
        settings: Settings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.client = client
        self.state = FlakyState(client)
        self.clock = clock or Clock()
        self.consumer = FakeConsumer(log)
        self.producer = FakeProducer()
        self.announcer = NotingAnnouncer(self.state)
        self.values = values or parse(VALUES)
        self.publisher = Publisher(
            settings or Settings(),
            self.values,
            self.state,
            Tuner(SettingsMirror(client)),
            FakeLogs(log),
            self.consumer,
            self.producer,
            self.announcer,
            self.clock,
        )
        self.publisher.subscribe()
        self.consumer.group_assigns(*places)

    def step(self, most: int = 10_000, *, seconds: float = 0.01) -> None:
        """One turn, as run() makes it: a Redis that is away ends the turn, no more."""
        self.clock.now += seconds
        self.consumer.most = most
        try:
            self.publisher.step()
        except UnavailableError:
            self.failures += 1

    failures = 0

    def steps(self, count: int, *, seconds: float = 0.01) -> None:
        for _ in range(count):
            self.step(seconds=seconds)

    @property
    def releases(self) -> list[tuple[str, int, bytes]]:
        return [
            (item.name, item.version, item.snapshot.json)
            for item in self.announcer.announcements
            if item.snapshot is not None
        ]

    def settle_until(self, condition: Callable[[], bool]) -> None:
        """Turn until `condition` holds; values may take a second chance at a full bucket."""
        for _ in range(500):
            if condition():
                return
            self.refill()
            self.step(seconds=0.05)
        raise AssertionError(f"never happened; released so far: {self.releases}")

    def refill(self) -> None:
        """A token for every value, whatever its rate."""
        for key in self.client.keys("bucket:*"):
            self.client.hset(key, "tokens", 1)

    def settle(self, partition: Partition) -> None:
        """Turn until everything is read, released, announced and vouched for."""
        self.steps(25, seconds=0.05)
        for _ in range(2_000):
            self.step(seconds=0.05)
            done = self.publisher.caught_up(partition) and not self.state.dirty(partition)
            if done and self.state.view(self.values.default).ready:
                return
        raise AssertionError(f"not settled: {self.state.dirty(partition)} is left")
