"""Promise 1 on fold and apply: any batches, replays and overlaps give what one pass would give."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from holdfast.state import Partition, State
from holdfast.updates import INT64_MAX, INT64_MIN, Update
from holdfast.values import Rules
from publisher.fold import Step, fold, series

PARTITION = Partition("updates", 0)
SUM, LATEST = Rules("counter", "sum"), Rules("headline", "latest")


@dataclass
class Model:
    """One record after the other, in Python's own integers."""

    total: int = 0
    rejected: list[int] = field(default_factory=list)
    latest: tuple[tuple[int, int], bytes] | None = None

    keys: dict[tuple[str, bytes], int] = field(default_factory=dict)

    def count(self, rules: Rules, step: Step) -> None:
        if step.digest:
            key = (rules.name, step.digest)
            if key in self.keys and step.timestamp - self.keys[key] < DAY_MS:
                return
            self.keys[key] = step.timestamp
        if rules is LATEST:
            entry = ((step.timestamp, step.offset), step.update.json)
            self.latest = entry if self.latest is None else max(self.latest, entry)
        elif INT64_MIN <= self.total + step.update.add <= INT64_MAX:
            self.total += step.update.add
        else:
            self.rejected.append(step.offset)


class Driver:
    """Applies batches as a publisher does: again from where apply says, or one by one."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.rejected: list[int] = []

    def apply(self, log: list[tuple[Rules, Step]], first: int, end: int, crash: int | None) -> None:
        """The batch of offsets `first` to `end`; with `crash`, only so many round trips of it."""
        known = self.state.known(PARTITION).offset or 0
        if first > known:
            steps = [Step(first, 0, log[first][1].update)]
            words = self.state.apply(PARTITION, 0, first, [fold(log[first][0], 0, steps)])
            assert words == [("REWIND", known)]
            event("a batch from beyond what Redis knows")
            return
        todo = [
            (rules, steps)
            for rules in (SUM, LATEST)
            if (steps := [step for its, step in log[first:end] if its is rules])
        ]
        while todo:
            rules, steps = todo.pop(0)
            if any(step.digest for step in steps):
                if crash is not None:
                    crash -= 1
                    if crash < 0:
                        event("crashed within a batch")
                        return
                (counted,) = self.state.apply_each(
                    PARTITION, 0, first, [series(rules, steps)], 1000
                )
                event(f"a series, {min(counted.duplicates, 1)} duplicates or more")
                self.rejected.extend(counted.overflows)
                continue
            whole = fold(rules, 0, steps)
            if whole is None:
                event("too wide to fold")
                todo[:0] = [(rules, [step]) for step in steps]
                continue
            if crash is not None:
                crash -= 1
                if crash < 0:
                    event("crashed within a batch")
                    return
            ((word, offset),) = self.state.apply(PARTITION, 0, first, [whole])
            event(word)
            if word == "PARTIAL":
                todo.insert(0, (rules, [step for step in steps if step.offset >= offset]))
            elif word == "OVERFLOW":
                todo[:0] = [(rules, [step]) for step in steps]
            elif word == "REJECTED":
                self.rejected.append(steps[0].offset)
        assert self.state.advance(PARTITION, 0, first, end) is None


SMALL = st.integers(-3, 3)
EXTREME = st.sampled_from(
    [INT64_MAX, INT64_MAX - 1, INT64_MIN, INT64_MIN + 1, 2**62, -(2**62), 2**53 + 1, -(2**53) - 1]
)
DAY_MS = 86_400_000
TIMES = st.one_of(st.integers(-1, 3), st.sampled_from([DAY_MS - 1, DAY_MS, DAY_MS + 1]))
KEYS = st.sampled_from([b"", b"", b"", b"k", b"l"])
ADDS = st.tuples(st.just(SUM), st.one_of(SMALL, EXTREME), TIMES, KEYS)
SETS = st.tuples(st.just(LATEST), st.integers(0, 99), TIMES, KEYS)
LOGS = st.lists(st.one_of(ADDS, ADDS, SETS), min_size=1, max_size=30)
WINDOWS = st.lists(
    st.tuples(st.just(0) | st.integers(0, 29), st.integers(1, 30), st.none() | st.integers(0, 3)),
    max_size=10,
)


def step_of(rules: Rules, offset: int, operand: int, timestamp: int, key: bytes) -> Step:
    update = Update(add=operand) if rules is SUM else Update(json=b"%d" % operand)
    return Step(offset, timestamp, update, key)


@pytest.fixture(scope="module")
def model_state(shared_redis):
    with shared_redis.connect() as client:
        yield client, State(client)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records=LOGS, windows=WINDOWS, batch=st.integers(1, 30))
def test_any_batches_replays_overlaps_and_crashes_count_every_record_once(
    model_state, records, windows, batch
):
    client, state = model_state
    client.flushall()
    log = [
        (rules, step_of(rules, offset, operand, timestamp, key))
        for offset, (rules, operand, timestamp, key) in enumerate(records)
    ]
    driver = Driver(state)
    for first, length, crash in windows:
        if first < len(log):
            driver.apply(log, first, min(len(log), first + length), crash)
    for first in range(0, len(log), batch):
        driver.apply(log, first, min(len(log), first + batch), None)

    model = Model()
    for rules, step in log:
        model.count(rules, step)
    assert int(client.hget("value:counter", "value") or 0) == model.total
    assert client.hget("value:headline", "value") == (model.latest[1] if model.latest else None)
    assert sorted(driver.rejected) == model.rejected
    assert state.known(PARTITION).offset == len(log)
