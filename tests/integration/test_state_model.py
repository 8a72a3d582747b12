"""The Lua scripts on a real Redis against the plain Python model, call by call."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from holdfast.settings_mirror import SettingsMirror
from holdfast.state import Partition, State, Wait
from holdfast.updates import INT64_MAX, INT64_MIN, Update
from holdfast.values import Rules
from publisher.fold import Step, fold, series
from tests.simulation.model_redis import DAY_MS, ModelMirror, ModelRedis, ModelState

PARTITIONS = [Partition("updates", 0), Partition("updates", 1)]
SUM, LATEST = Rules("counter", "sum"), Rules("headline", "latest", rate=5.0, burst=3)
MOST_KEYS = 3
START_US = 1_764_000_000_000_000

NUMBERS = st.one_of(st.integers(-3, 9), st.sampled_from([INT64_MAX, INT64_MIN, 2**62, -(2**62)]))
KEYS = st.sampled_from([b"", b"", b"k" * 16, b"l" * 16, b"m" * 16, b"n" * 16])
WHERE = st.sampled_from(PARTITIONS)


class Scripts(RuleBasedStateMachine):
    """Whatever is called with whatever: both answer the same, and both know the same after it."""

    client = None  # of the Redis that the test got

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        self.real = State(self.client)
        self.server = ModelRedis(START_US)
        self.model = ModelState(self.server)
        self.real_mirror, self.model_mirror = SettingsMirror(self.client), ModelMirror(self.server)
        self.rules = {"counter": SUM, "headline": LATEST}
        self.now_us = START_US
        self.time_ms = 1000
        self.logs = {partition: [] for partition in PARTITIONS}
        self.versions = {"counter": [0], "headline": [0]}

    def both(self, method, *args, **kwargs):
        expected = getattr(self.model, method)(*args, **kwargs)
        assert getattr(self.real, method)(*args, **kwargs) == expected
        return expected

    @rule(
        where=WHERE,
        updates=st.lists(
            st.tuples(st.sampled_from([SUM, LATEST]), NUMBERS, KEYS, st.integers(-1, 2)),
            min_size=1,
            max_size=6,
        ),
    )
    def append(self, where, updates):
        for rules, number, key, later in updates:
            self.time_ms += later
            update = Update(add=number) if rules is SUM else Update(json=b"%d" % number)
            step = Step(len(self.logs[where]), self.time_ms, update, key)
            self.logs[where].append((rules, step))

    @rule(hours=st.sampled_from([1, 23, 24]))
    def record_time_passes(self, hours):
        self.time_ms += hours * DAY_MS // 24

    @rule(where=WHERE, back=st.integers(0, 8), length=st.integers(1, 8), crash=st.integers(0, 4))
    def apply(self, where, back, length, crash):
        """A batch from before, at or beyond what is known; maybe half done."""
        known = self.model.known(where).offset or 0
        first = max(0, known + 2 - back)
        batch = self.logs[where][first : first + length]
        if not batch:
            return
        for rules in (SUM, LATEST):
            steps = [step for its, step in batch if its is rules]
            if not steps:
                continue
            crash -= 1
            if crash == 0:
                return
            if any(step.digest for step in steps):
                self.both("apply_each", where, 0, first, [series(rules, steps)], MOST_KEYS)
                continue
            whole = fold(rules, where.number, steps)
            each = [steps] if whole is not None else [[step] for step in steps]
            for some in each:
                self.both("apply", where, 0, first, [fold(rules, where.number, some)])
        if crash != 1:
            self.both("advance", where, 0, first, first + len(batch))

    @rule(
        which=st.sampled_from([SUM, LATEST]),
        knobs=st.sampled_from(
            [{"rate": 4.0}, {"rate": 0.5, "burst": 2}, {"burst": 5}, {"paused": True}, {}]
        ),
    )
    def retune(self, which, knobs):
        """An operator changes the rules of a value; the publisher asks with them from then on."""
        self.rules[which.name] = replace(which, **knobs)

    @rule(topic_id=st.sampled_from(["first", "first", "second"]), position=st.integers(0, 3))
    def tell_settings(self, topic_id, position):
        told = self.model_mirror.write(topic_id, position, [])
        assert self.real_mirror.write(topic_id, position, []) == told

    @rule(
        where=WHERE,
        name=st.sampled_from(["counter", "headline"]),
        ahead=st.sampled_from([0, 0, 0, 1]),
        settings=st.sampled_from([None, None, None, -1, 0, 1]),
    )
    def release(self, where, name, ahead, settings):
        rules = self.rules[name]
        position = (self.model.known(where).offset or 0) + ahead
        if settings is not None:
            settings += self.model_mirror.position()
        more = {"position": position, "settings": settings, "now_us": self.now_us}
        (expected,) = self.model.release(where, [rules], **more)
        (real,) = self.real.release(where, [rules], **more)
        if isinstance(expected, Wait):
            assert abs(real.ms - expected.ms) <= 1  # a double less in one of them
        else:
            assert real == expected
        snapshot = getattr(real, "snapshot", None)
        if snapshot is not None:
            self.versions[rules.name].append(snapshot.version)

    @rule(where=WHERE, name=st.sampled_from(["counter", "headline"]), back=st.integers(1, 3))
    def announce(self, where, name, back):
        versions = self.versions[name]
        self.both("announced", where, [(name, versions[-min(back, len(versions))])])

    @rule(where=WHERE, name=st.sampled_from(["counter", "headline"]), above=st.integers(1, 2000))
    def reissue(self, where, name, above):
        self.both("reissue", where, [(name, self.versions[name][-1] + above)])

    @rule(seconds=st.sampled_from([0.001, 0.2, 0.9999, 1.0, 1.0001, 60.0, -0.5, -30.0]))
    def clock(self, seconds):
        """Redis's clock jumps too."""
        self.now_us += int(seconds * 1_000_000)

    @rule()
    def forget_scripts(self):
        self.client.script_flush()

    @invariant()
    def both_know_the_same(self):
        assert self.real_mirror.position() == self.model_mirror.position()
        for partition in PARTITIONS:
            assert self.real.known(partition) == self.model.known(partition)
            assert sorted(self.real.dirty(partition)) == self.model.dirty(partition)
            assert sorted(self.real.released(partition)) == self.model.released(partition)
        names = ["counter", "headline", "nobody"]
        assert self.real.snapshots(names) == self.model.snapshots(names)
        both = [self.real.view(SUM), self.real.view(LATEST)]
        assert self.real.views([SUM, LATEST]) == both
        for rules, view in zip((SUM, LATEST), both, strict=True):
            assert view.snapshot == self.model.view(rules).snapshot
            value = self.server.data.values.get(rules.name)
            assert self.client.hget(f"value:{rules.name}", "value") == (value and value.value)
            keys = {} if value is None else value.keys
            horizon = max(keys.values(), default=0) - DAY_MS
            remembered = dict(self.client.zrange(f"keys:{rules.name}", 0, -1, withscores=True))
            # Older ones may be forgotten or not: they decide nothing any more.
            assert {key: at for key, at in remembered.items() if at > horizon} == {
                key: at for key, at in keys.items() if at > horizon
            }


def test_the_scripts_do_what_the_model_does(client):
    run_state_machine_as_test(
        type("Scripts", (Scripts,), {"client": client}),
        settings=settings(
            max_examples=250,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
