"""How every value stands in Redis now, for operators: what is worked on, what is shown, tokens.

Methods raise UnavailableError when Redis can't be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import redis

from holdfast.budget import Budget
from holdfast.state import BUDGET_KEYS, available
from holdfast.values import Rules, Values

_FIELDS = ("value", "released", "version", "announced", "released_at", "changed_at")
_BUCKET = ("tokens", "at", "rate", "burst")


@dataclass(frozen=True, slots=True)
class ValueState:
    """One value. working, released: JSON, None = nothing yet. tokens: in its bucket now.

    changed_at_us: of the oldest change that is not released, None = nothing waits.
    """

    name: str
    working: bytes | None
    released: bytes | None
    version: int
    announced: int
    released_at_ms: int
    changed_at_us: int | None
    tokens: float
    waits_for_budget: bool

    @property
    def dirty(self) -> bool:
        """Whether something is left to release or to announce."""
        return self.working != self.released or self.version > self.announced


class BudgetState(NamedTuple):
    """Keys that are left now in the buckets of the second and the hour, None = no limit; and how
    many values wait for one."""

    second: float | None
    hour: float | None
    waiting: int


class ValueStates:
    """Reads what the publisher's scripts write."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def names(self, values: Values) -> list[str]:
        """Every value that is configured by name or has a state, sorted."""
        with available():
            counts = [
                int(self._redis.hget(f"ready:{topic}", "partitions") or 0)
                for topic in values.topics
            ]
            pipe = self._redis.pipeline(transaction=False)
            for topic, count in zip(values.topics, counts, strict=True):
                for number in range(count):
                    pipe.zrange(f"released:{topic}:{number}", 0, -1)
                    pipe.smembers(f"dirty:{topic}:{number}")
            replies: list[Iterable[bytes]] = pipe.execute()
        found = {name.decode() for names in replies for name in names}
        configured = {rules.name for rules in values.tables if not rules.family}
        return sorted(configured | {name for name in found if values.rules(name) is not None})

    def count(self, values: Values) -> int:
        """How many values were released so far."""
        with available():
            replies = self._each_released(values, lambda pipe, key: pipe.zcard(key))
        return sum(int(reply) for reply in replies)

    def recent(self, values: Values, most: int) -> list[str]:
        """Up to `most` values of each partition that were released last."""
        with available():
            replies = self._each_released(
                values, lambda pipe, key: pipe.zrevrange(key, 0, most - 1)
            )
        names = (name.decode() for reply in replies for name in reply)
        return [name for name in names if values.rules(name) is not None]

    def _each_released(self, values: Values, ask: Callable[[Any, str], Any]) -> list[Any]:
        pipe = self._redis.pipeline(transaction=False)
        for topic in values.topics:
            pipe.hget(f"ready:{topic}", "partitions")
        counts = [int(count or 0) for count in pipe.execute()]
        for topic, count in zip(values.topics, counts, strict=True):
            for number in range(count):
                ask(pipe, f"released:{topic}:{number}")
        replies: list[Any] = pipe.execute()
        return replies

    def read(self, values: Sequence[Rules]) -> list[ValueState]:
        """The state of each, by its rules in effect."""
        return self.read_at(values)[0]

    def read_at(self, values: Sequence[Rules]) -> tuple[list[ValueState], int]:
        """As `read`; and the time at Redis then, us since 1970."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.time()
        for rules in values:
            pipe.hmget(f"value:{rules.name}", _FIELDS)
            pipe.hmget(f"bucket:{rules.name}", _BUCKET)
            pipe.zscore(BUDGET_KEYS[2], rules.name)
        with available():
            replies: list[Any] = pipe.execute()
        now_us = _us(replies[0])
        states = []
        for place, rules in enumerate(values):
            state, bucket, waits = replies[1 + 3 * place : 4 + 3 * place]
            working, released, version, announced, released_at, changed_at = state
            states.append(
                ValueState(
                    name=rules.name,
                    working=working,
                    released=released,
                    version=int(version or 0),
                    announced=int(announced or 0),
                    released_at_ms=int(released_at or 0),
                    changed_at_us=None if changed_at is None else int(changed_at),
                    tokens=_tokens(bucket, rules.burst, now_us),
                    waits_for_budget=waits is not None,
                )
            )
        return states, now_us

    def budget(self, budget: Budget) -> BudgetState:
        """What is left of the budget in effect."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.time()
        pipe.hmget(BUDGET_KEYS[0], _BUCKET)
        pipe.hmget(BUDGET_KEYS[1], _BUCKET)
        pipe.zcard(BUDGET_KEYS[2])
        with available():
            time, second, hour, waiting = pipe.execute()
        now_us = _us(time)
        return BudgetState(
            _tokens(second, budget.second.burst, now_us) if budget.per_second else None,
            _tokens(hour, budget.hour.burst, now_us) if budget.per_hour else None,
            waiting if budget.per_second or budget.per_hour else 0,
        )


def _us(time: tuple[int, int]) -> int:
    return time[0] * 1_000_000 + time[1]


def _tokens(bucket: Sequence[bytes | None], burst: int, now_us: int) -> float:
    """As lua/bucket.lua counts them."""
    tokens, at, rate, old_burst = (None if entry is None else float(entry) for entry in bucket)
    if tokens is None or at is None:
        return float(burst)
    filled = tokens + max(0.0, now_us - at) * (rate or 0.0) / 1e6
    return min(float(burst), burst if old_burst is None else old_burst, filled)
