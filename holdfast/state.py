"""The state in Redis: one method per Lua script, and the keys that they share.

Every multi-step change is one script in lua/; its header gives keys, arguments and results.
Methods raise UnavailableError when Redis can't be asked; asking again is always safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain
from typing import Any, Literal, NamedTuple

import redis
from redis.commands.core import Script

from holdfast.budget import NO_BUDGET, Budget
from holdfast.errors import UnavailableError
from holdfast.master_only import insist_on_master
from holdfast.snapshots import Snapshot
from holdfast.values import Rules

HISTORY_LENGTH = 60
SETTINGS_KEY = "settings"
BUDGET_KEYS = ("budget:second", "budget:hour", "budget:queue", "budget:callers")
# Scripts that begin with others, which hold what they share.
_BEGIN = {"release": ("bucket", "budget"), "spend": ("bucket", "budget")}


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of one topic."""

    topic: str
    number: int

    def key(self, prefix: str) -> str:
        return f"{prefix}:{self.topic}:{self.number}"


@dataclass(frozen=True, slots=True)
class Known:
    """What Redis knows of a partition: the next offset to fold, and its topic's id in Kafka."""

    offset: int | None
    topic_id: str | None


@dataclass(frozen=True, slots=True)
class Fold:
    """Consecutive updates of one value in one batch, as one change.

    first, next: offsets of the first record and of the one after the last. change: ARGV from
    "add" or "set" on, as lua/apply.lua takes it. single: the fold is one record.
    """

    name: str
    first: int
    next: int
    change: tuple[str | bytes, ...]
    single: bool


class EachUpdate(NamedTuple):
    """One record of a Series. at: ms. digest: of its idempotency key, b"" = none."""

    offset: int
    at: int
    digest: bytes
    change: bytes


@dataclass(frozen=True, slots=True)
class Series:
    """Updates of one value in one batch that must be looked at one by one.

    change of each: an int64 for operation "add", JSON for "set".
    """

    name: str
    operation: Literal["add", "set"]
    updates: tuple[EachUpdate, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of a Series: its duplicates, and the offsets at which a sum would overflow."""

    duplicates: int
    overflows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Released:
    """A release that was just made."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Owed:
    """Nothing to release, but `version` was never announced."""

    version: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing may be released for another `ms`."""

    ms: int


@dataclass(frozen=True, slots=True)
class Lost:
    """Redis knows less than the caller has applied: its value is too old to be released."""


@dataclass(frozen=True, slots=True)
class Paused:
    """There is something to release, and an operator has paused the value."""


@dataclass(frozen=True, slots=True)
class OtherSettings:
    """Redis knows of other settings than the caller: up to `position` of their topic, -1 = none."""

    position: int


ReleaseResult = Released | Owed | Wait | Paused | Lost | OtherSettings | None


@dataclass(frozen=True, slots=True)
class View:
    """What the origin serves. snapshot: None when the value has no release yet."""

    ready: bool
    snapshot: Snapshot | None
    history: tuple[Snapshot, ...] = ()


@contextmanager
def available() -> Iterator[None]:
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise UnavailableError(f"Redis does not answer: {error}") from error
    except redis.ResponseError as error:
        # LOADING, READONLY, NOREPLICAS, OOM, NOSCRIPT after a failover: all pass with time.
        raise UnavailableError(f"Redis refuses: {error}") from error


def load_script(client: redis.Redis, name: str) -> Script:
    """lua/{name}.lua, after the files that it begins with."""
    folder = files("holdfast") / "lua"
    texts = [
        (folder / f"{part}.lua").read_text(encoding="utf-8")
        for part in (*_BEGIN.get(name, ()), name)
    ]
    return client.register_script("\n".join(texts))


def connect(url: str) -> redis.Redis:
    """A client with timeouts; connects when first used."""
    return insist_on_master(
        redis.Redis.from_url(
            url, socket_timeout=2.0, socket_connect_timeout=1.0, health_check_interval=15
        )
    )


class State:
    """Every read and write of Redis that Holdfast does."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        script = {
            name: load_script(client, name)
            for name in (
                "apply",
                "apply_each",
                "advance",
                "heartbeat",
                "release",
                "spend",
                "announced",
                "view",
            )
        }
        self._apply, self._apply_each = script["apply"], script["apply_each"]
        self._advance = script["advance"]
        self._heartbeat, self._release = script["heartbeat"], script["release"]
        self._spend = script["spend"]
        self._announced, self._view = script["announced"], script["view"]

    def reconnect(self) -> None:
        """Let go of connections that nobody uses now: the address may lead to another Redis."""
        self._redis.connection_pool.disconnect(inuse_connections=False)

    # -- the publisher's side

    def known(self, partition: Partition) -> Known:
        """Where the partition stands; nothing but None when Redis is new to it."""
        with available():
            reply: Any = self._redis.mget(partition.key("offset"), partition.key("topic_id"))
        offset, topic_id = reply
        return Known(
            None if offset is None else int(offset), None if topic_id is None else topic_id.decode()
        )

    def note_topic(self, partition: Partition, topic_id: str) -> None:
        """From now on the partition's offsets are those of this topic and no other of its name."""
        with available():
            self._redis.set(partition.key("topic_id"), topic_id)

    def accept_log(self, partition: Partition, low: int, topic_id: str) -> None:
        """Forget which of the partition's records were applied; go on at offset `low`.

        For a log that is not the one Redis knows; the values stay as they are. Safe while every
        publisher refuses the partition, and to repeat: the offset is written last.
        """
        with available():
            for key in self._redis.scan_iter("value:*", count=1000):
                self._redis.hdel(key, partition.key("applied"))
            self._redis.mset({partition.key("topic_id"): topic_id, partition.key("offset"): low})

    def apply(
        self, partition: Partition, log_start: int, batch_first: int, folds: Sequence[Fold]
    ) -> list[tuple[str, int]]:
        """Apply folds in one round trip; per fold the script's word and its offset, if any."""
        pipe = self._redis.pipeline(transaction=False)
        for fold in folds:
            self._apply(
                keys=[partition.key("offset"), f"value:{fold.name}", partition.key("dirty")],
                args=[
                    fold.name,
                    partition.key("applied"),
                    log_start,
                    batch_first,
                    fold.first,
                    fold.next,
                    "single" if fold.single else "",
                    *fold.change,
                    "",
                ],
                client=pipe,
            )
        with available():
            replies: list[Any] = pipe.execute()
        return [_word(reply) for reply in replies]

    def apply_each(
        self,
        partition: Partition,
        log_start: int,
        batch_first: int,
        all_series: Sequence[Series],
        most_keys: int,
    ) -> list[Counted | None]:
        """Apply series in one round trip; None where Redis knows less than the batch assumes.

        most_keys: idempotency keys to remember per value; the oldest beyond are forgotten.
        """
        pipe = self._redis.pipeline(transaction=False)
        for series in all_series:
            updates: Iterable[Any] = chain.from_iterable(series.updates)
            self._apply_each(
                keys=[
                    partition.key("offset"),
                    f"value:{series.name}",
                    partition.key("dirty"),
                    f"keys:{series.name}",
                ],
                args=[
                    series.name,
                    partition.key("applied"),
                    partition.number,
                    log_start,
                    batch_first,
                    most_keys,
                    series.operation,
                    "",
                    *updates,
                ],
                client=pipe,
            )
        with available():
            replies: list[Any] = pipe.execute()
        return [
            None if word == b"REWIND" else Counted(numbers[0], tuple(numbers[1:]))
            for word, *numbers in replies
        ]

    def advance(
        self, partition: Partition, log_start: int, batch_first: int, next_offset: int
    ) -> int | None:
        """Move the partition on to `next_offset`; the offset to rewind to, if Redis says so."""
        with available():
            reply: Any = self._advance(
                keys=[partition.key("offset")], args=[log_start, batch_first, next_offset]
            )
        word, offset = _word(reply)
        return offset if word == "REWIND" else None

    def heartbeat(
        self,
        partition: Partition,
        log_start: int,
        position: int,
        partitions: int,
        caught_up: bool,
        run_id: str,
    ) -> tuple[str, int | None]:
        """Vouch for this Redis, if `caught_up`. Its run id, and the offset to start again from.

        run_id: what the last heartbeat returned, "" before the first. The offset is None unless
        Redis has lost something, or may have: it is another run than before.
        """
        with available():
            reply: Any = self._heartbeat(
                keys=[partition.key("offset"), f"ready:{partition.topic}"],
                args=[
                    log_start,
                    position,
                    partition.number,
                    partitions,
                    "1" if caught_up else "0",
                    run_id,
                ],
            )
        return reply[1].decode(), reply[2] if reply[0] == b"REWIND" else None

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
        """Release what may be released, in one round trip; one result per value.

        position: the next offset that the caller will apply. Redis has to know all before it.
        settings: the same of the settings that `values` and `budget` follow from, and Redis has to
        know exactly these; None: they follow from none.
        """
        limits = (*budget.second, *budget.hour)
        pipe = self._redis.pipeline(transaction=False)
        for rules in values:
            name = rules.name
            self._release(
                keys=[
                    f"value:{name}",
                    f"bucket:{name}",
                    partition.key("dirty"),
                    partition.key("released"),
                    f"history:{name}",
                    partition.key("offset"),
                    SETTINGS_KEY,
                    *BUDGET_KEYS,
                ],
                args=[
                    name,
                    rules.rate,
                    rules.burst,
                    rules.threshold,
                    int(rules.settle * 1e6),
                    "1" if rules.paused else "0",
                    *limits,
                    HISTORY_LENGTH,
                    position,
                    "" if settings is None else settings,
                    "" if now_us is None else now_us,
                ],
                client=pipe,
            )
        with available():
            replies: list[Any] = pipe.execute()
        return [
            _release_result(rules.name, reply) for rules, reply in zip(values, replies, strict=True)
        ]

    def spend(self, keys: int, budget: Budget, *, now_us: int | None = None) -> None:
        """Pay for purges that no release asks for. A debt is kept up to the budget's burst."""
        if budget == NO_BUDGET:
            return
        with available():
            self._spend(
                keys=list(BUDGET_KEYS),
                args=[keys, *budget.second, *budget.hour, "" if now_us is None else now_us],
            )

    def announced(self, partition: Partition, versions: Iterable[tuple[str, int]]) -> None:
        """Note that these (name, version) were attempted on every node."""
        pipe = self._redis.pipeline(transaction=False)
        for name, version in versions:
            self._announced(
                keys=[f"value:{name}", partition.key("dirty")], args=[name, version], client=pipe
            )
        with available():
            pipe.execute()

    def reissue(self, partition: Partition, versions: Iterable[tuple[str, int]]) -> None:
        """Release these values again, with a version above, though they may not have changed.

        For a Redis that has forgotten releases, by name and version, which viewers have seen.
        """
        pipe = self._redis.pipeline(transaction=True)
        for name, version in versions:
            pipe.hset(f"value:{name}", "reissue", version)
            pipe.sadd(partition.key("dirty"), name)
        with available():
            pipe.execute()

    def dirty(self, partition: Partition) -> list[str]:
        """Names that may need a release or an announce."""
        with available():
            names: Any = self._redis.smembers(partition.key("dirty"))
        return [name.decode() for name in names]

    def released(self, partition: Partition) -> list[tuple[str, int, int]]:
        """Every value that the partition has released: (name, version, released at in ms)."""
        with available():
            names: Any = self._redis.zrange(partition.key("released"), 0, -1, withscores=True)
            pipe = self._redis.pipeline(transaction=False)
            for name, _ in names:
                pipe.hget(f"value:{name.decode()}", "version")
            versions = pipe.execute()
        return [
            (name.decode(), int(version), int(at))
            for (name, at), version in zip(names, versions, strict=True)
            if version is not None
        ]

    def snapshots(self, names: Sequence[str]) -> dict[str, Snapshot]:
        """The newest release of each of these values that has one, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.hmget(f"value:{name}", *_SNAPSHOT)
        with available():
            replies: Any = pipe.execute()
        found = (_snapshot(name, reply) for name, reply in zip(names, replies, strict=True))
        return {snapshot.name: snapshot for snapshot in found if snapshot is not None}

    def versions(self, names: Sequence[str]) -> dict[str, int]:
        """The version of each of these values that has one, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.hget(f"value:{name}", "version")
        with available():
            replies: Any = pipe.execute()
        found = zip(names, replies, strict=True)
        return {name: int(version) for name, version in found if version is not None}

    # -- the origin's side

    def view(self, rules: Rules, *, history: bool = False) -> View:
        """The published view of a value; `ready` False while it can't be trusted."""
        with available():
            reply: Any = self._view(**_view_call(rules, history))
        return _view_reply(rules.name, reply)

    def views(self, values: Sequence[Rules]) -> list[View]:
        """The published view of each value, without history, in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for rules in values:
            self._view(**_view_call(rules, False), client=pipe)
        with available():
            replies: list[Any] = pipe.execute()
        return [
            _view_reply(rules.name, reply) for rules, reply in zip(values, replies, strict=True)
        ]


# As lua/view.lua reads them.
_SNAPSHOT = ("released", "version", "prev", "released_at")


def _snapshot(name: str, fields: Any) -> Snapshot | None:
    json, version, prev, at = fields
    if version is None:
        return None
    return Snapshot(name, json, int(version), int(prev), int(at))


def _view_call(rules: Rules, history: bool) -> dict[str, Any]:
    name = rules.name
    return {
        "keys": [f"ready:{rules.topic}", f"value:{name}", f"history:{name}"],
        "args": ["1" if history else "0"],
    }


def _view_reply(name: str, reply: Any) -> View:
    ready, fields, entries = reply
    return View(
        bool(ready), _snapshot(name, fields), tuple(_entry(name, entry) for entry in entries)
    )


def _word(reply: Any) -> tuple[str, int]:
    return reply[0].decode(), int(reply[1]) if len(reply) > 1 else -1


def _release_result(name: str, reply: Any) -> ReleaseResult:
    word = reply[0].decode()
    if word == "RELEASED":
        version, prev, at = (int(number) for number in reply[1:4])
        return Released(Snapshot(name, reply[4], version, prev, at))
    if word == "OWED":
        return Owed(int(reply[1]))
    if word == "WAIT":
        return Wait(int(reply[1]))
    if word == "PAUSED":
        return Paused()
    if word == "REWIND":
        return Lost()
    if word == "SETTINGS":
        return OtherSettings(int(reply[1]))
    return None


def _entry(name: str, entry: bytes) -> Snapshot:
    version, prev, at, json = entry.split(b" ", 3)
    return Snapshot(name, json, int(version), int(prev), int(at))
