"""Promise 1 on the whole loop: two publishers, a Redis that fails, rolls back and is wiped."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from holdfast.state import Partition
from holdfast.updates import INT64_MAX, INT64_MIN
from tests.integration.fake_kafka import FakeLog
from tests.integration.publisher_bench import Clock, PublisherBench, roll_back, save

PARTITION = Partition("updates", 0)
PLACE = ("updates", 0)

NUMBERS = st.one_of(st.integers(1, 9), st.integers(-9, 9), st.sampled_from([INT64_MAX, INT64_MIN]))
MALFORMED = [b"", b"{", b'{"add":"1"}', b'{"add":1,"set":1}', b"[]", b'{"add":true}', None]
DAY_MS = 86_400_000
FAULTS = st.tuples(
    st.sampled_from(["apply", "apply_each", "advance", "release"]), st.integers(0, 2)
)


class Machine(RuleBasedStateMachine):
    """Whatever happens in whatever order: every record counts once, and the end shows."""

    client = None  # of the Redis that the test got
    publishers = 2

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        self.log = FakeLog({PLACE: []})
        self.clock = Clock()
        self.time = 1000
        self.saved: dict[bytes, bytes] = {}
        self.benches = [self.bench() for _ in range(self.publishers)]
        self.aside: set[int] = set()
        self.keys: dict[tuple[str, bytes], int] = {}
        self.sums = {"counter": 0, "visits": 0}
        self.rejected: set[int] = set()
        self.lost_answers = False
        self.latest: tuple[tuple[int, int], bytes] | None = None

    def bench(self) -> PublisherBench:
        return PublisherBench(self.client, self.log, clock=self.clock)

    # -- what comes

    @rule(
        name=st.sampled_from(["counter", "counter", "visits"]),
        updates=st.lists(st.tuples(NUMBERS, st.sampled_from([None, None, b"k", b"l", b"m"]))),
    )
    def add(self, name, updates):
        for number, key in updates:
            offset = self.log.append(*PLACE, name.encode(), b'{"add":%d}' % number, self.time, key)
            if key is not None and self.time - self.keys.get((name, key), -DAY_MS) < DAY_MS:
                continue
            self.keys[name, key] = self.time
            if INT64_MIN <= self.sums[name] + number <= INT64_MAX:
                self.sums[name] += number
            else:
                self.rejected.add(offset)

    @rule(hours=st.sampled_from([1, 12, 23, 24]))
    def time_passes(self, hours):
        self.time += hours * DAY_MS // 24

    @rule(number=st.integers(0, 99), later=st.integers(-2, 2))
    def set(self, number, later):
        self.time += later
        offset = self.log.append(*PLACE, b"headline", b'{"set":%d}' % number, self.time)
        entry = ((self.time, offset), b"%d" % number)
        self.latest = entry if self.latest is None else max(self.latest, entry)

    @rule(value=st.sampled_from(MALFORMED), key=st.sampled_from([b"counter", b"headline", None]))
    def append_malformed(self, key, value):
        self.rejected.add(self.log.append(*PLACE, key, value, self.time))

    # -- who works

    @rule(who=st.integers(0, 1), most=st.sampled_from([1, 3, 100]), seconds=st.floats(0.001, 2))
    def step(self, who, most, seconds):
        self.benches[who % self.publishers].step(most, seconds=seconds)

    @rule(who=st.integers(0, 1), fault=FAULTS, most=st.sampled_from([3, 100]))
    def step_while_redis_goes_away(self, who, fault, most):
        bench = self.benches[who % self.publishers]
        bench.state.fault = fault
        self.lost_answers |= fault[0] in ("apply", "apply_each")
        bench.step(most)
        bench.state.fault = None

    @rule(who=st.integers(0, 1), dies_before_announcing=st.booleans())
    def restart(self, who, dies_before_announcing):
        who %= self.publishers
        bench = self.benches[who]
        bench.announcer.silent = dies_before_announcing
        bench.step()
        self.note(bench)
        self.benches[who] = self.bench()

    # -- what befalls Redis

    @rule()
    def save(self):
        self.saved = save(self.client)

    @rule()
    def roll_back(self):
        roll_back(self.client, self.saved)

    @rule()
    def wipe(self):
        self.client.flushall()

    @rule()
    def forget_scripts(self):
        self.client.script_flush()

    # -- what must hold

    def note(self, bench: PublisherBench) -> None:
        self.aside.update(bench.producer.offsets)

    @invariant()
    def versions_of_each_publisher_increase(self):
        for bench in self.benches:
            for name in ("counter", "visits", "headline"):
                versions = [version for its, version, _ in bench.releases if its == name]
                assert versions == sorted(set(versions))

    def teardown(self):
        # What one left that died before it announced is its successor's to announce.
        for bench in self.benches:
            bench.steps(25, seconds=0.05)
        last = self.benches[0]
        last.settle(PARTITION)
        self.note(last)
        for bench in self.benches[1:]:
            bench.settle(PARTITION)
            self.note(bench)
        expected = {name: b"%d" % total for name, total in self.sums.items()}
        if self.latest is not None:
            expected["headline"] = self.latest[1]
        for name, value in expected.items():
            hash_ = self.client.hgetall(f"value:{name}")
            if not hash_ and value == b"0":
                continue
            assert hash_[b"value"] == value
            assert hash_.get(b"released", b"0") == value
            assert hash_.get(b"announced") == hash_.get(b"version")
        assert last.state.known(PARTITION).offset in (len(self.log.partitions[PLACE]), None)
        assert self.aside <= self.rejected
        # When the answer gets lost by which a sum was rejected, its copy is lost with it.
        assert self.aside == self.rejected or self.lost_answers
        assert last.state.view(last.values.default).ready


class LonePublisher(Machine):
    """With one publisher and only additions, nobody ever sees a counter go back."""

    publishers = 1

    @rule(number=st.integers(1, 9))
    def add(self, number):
        self.log.append(*PLACE, b"counter", b'{"add":%d}' % number, self.time)
        self.sums["counter"] += number

    @invariant()
    def the_counter_never_goes_back(self):
        shown = [int(json) for name, _, json in self.benches[0].releases if name == "counter"]
        assert shown == sorted(shown)


BOUNDS = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.parametrize("machine", [Machine, LonePublisher])
def test_every_record_counts_once_whatever_befalls_publishers_and_redis(client, machine):
    run_state_machine_as_test(
        type(machine.__name__, (machine,), {"client": client}), settings=BOUNDS
    )
