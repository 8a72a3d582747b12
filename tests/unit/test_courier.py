"""What one webhook is owed, in which order, and when it is given up; nothing real but the rules."""

from __future__ import annotations

import json

import pytest

from holdfast.errors import UnavailableError
from holdfast.hook_states import HookState
from holdfast.hooks import hook_of, new_secret
from holdfast.operator_settings import Setting
from holdfast.snapshots import Snapshot
from publisher.hooks import courier as module
from publisher.hooks.courier import Courier
from publisher.hooks.sender import Outcome

THING = {"url": "https://example.com/", "values": "*", "secret": new_secret()}
OK, BAD, GONE = Outcome(200), Outcome(500, "answered 500"), Outcome(410, "answered 410")


def hook(version=1):
    return hook_of(Setting("hook:0123456789abcdef", version, "alice", 0, THING))


class Bench:
    """A receiver that takes all unless told otherwise, and a clock that waits for nobody."""

    def __init__(self):
        self.now = 1000.0
        self.newest: dict[str, int] = {}
        self.unannounced: set[str] = set()
        self.sent: list[tuple[str, int]] = []
        self.noted: list[tuple[HookState, dict[str, int]]] = []
        self.outcomes: list[Outcome] = []
        self.during = lambda: None
        self.left_s = 10.0
        self.redis = True
        self.courier = Courier(
            hook(),
            HookState(1),
            {},
            _Releases(self),
            self,
            self.post,
            lambda: self.left_s,
            3600.0,
            lambda: self.now,
            lambda: self.now,
            self.sleep,
        )

    def post(self, message, within_s):
        assert 0 < within_s <= module.REQUEST_S
        data = json.loads(message.body)["data"]
        self.sent.append((data["name"], data["version"]))
        self.during()
        return self.outcomes.pop(0) if self.outcomes else OK

    def sleep(self, seconds):
        self.now += seconds

    def release(self, **versions):
        self.newest.update(versions)
        self.courier.offer(versions)

    def run(self, most=100):
        """All attempts that are due, with the pauses between them."""
        while most and (due := self.courier.due_in_s()) is not None:
            self.now += due
            self.courier.attempt()
            most -= 1

    # -- as States, and in part as Releases
    def announced(self, name):
        return 0 if name in self.unannounced else self.newest[name]

    def write(self, hook_id, state, delivered):
        if not self.redis:
            raise UnavailableError("gone")
        self.noted.append((state, delivered))


@pytest.fixture
def bench():
    return Bench()


class _Releases:
    def __init__(self, bench):
        self.bench = bench

    def newest(self, name):
        version = self.bench.newest.get(name)
        return None if version is None else Snapshot(name, b"1", version, 0, version)

    def announced(self, name):
        return self.bench.announced(name)


def test_each_release_is_delivered_once(bench):
    bench.release(a=1)
    bench.run()
    bench.release(a=2, b=3)
    bench.run()
    bench.courier.offer(["a", "b", "nobody"])
    bench.run()
    assert bench.sent == [("a", 1), ("a", 2), ("b", 3)]
    assert bench.noted[-1][1] == {"b": 3}


def test_what_was_released_meanwhile_is_conflated_and_keeps_its_place(bench):
    bench.release(a=1, b=2)
    bench.outcomes = [BAD]
    bench.courier.attempt()
    bench.release(b=3, c=4)
    bench.release(a=5, b=6)
    bench.run()
    assert bench.sent == [("a", 1), ("a", 5), ("b", 6), ("c", 4)]


def test_a_release_during_a_delivery_is_delivered_after_it(bench):
    bench.release(a=1)
    bench.during = lambda: bench.newest["a"] < 3 and bench.release(a=bench.newest["a"] + 1)
    bench.run()
    assert bench.sent == [("a", 1), ("a", 2), ("a", 3)]


def test_what_was_delivered_before_a_restart_is_not_delivered_again(bench):
    bench.courier._delivered.update(a=5)
    bench.release(a=5, b=6)
    bench.run()
    assert bench.sent == [("b", 6)]


def test_failures_are_retried_with_growing_pauses_that_differ(bench):
    bench.release(a=1)
    bench.outcomes = [BAD] * 8
    pauses = []
    for _ in range(8):
        bench.courier.attempt()
        pauses.append(bench.courier.due_in_s())
        bench.now += pauses[-1]
    for number, pause in enumerate(pauses):
        assert 0.5 * 2**number <= pause <= 2**number
    assert len(set(pauses)) == 8
    bench.run()
    assert bench.courier.state.word == "live"
    assert bench.courier.state.failures == 0


def test_a_receiver_that_asks_for_a_pause_gets_it_within_reason(bench):
    bench.release(a=1)
    bench.outcomes = [
        Outcome(503, "answered 503", retry_after_s=100),
        Outcome(429, "x", False, 1e9),
    ]
    bench.courier.attempt()
    assert bench.courier.due_in_s() == 100
    bench.courier.attempt()
    assert bench.courier.due_in_s() == module.MOST_RETRY_AFTER_S


def test_who_fails_for_too_long_is_given_up(bench):
    bench.release(a=1)
    bench.outcomes = [BAD] * 100
    bench.run()
    state = bench.courier.state
    assert (state.word, bench.courier.due_in_s()) == ("disabled", None)
    assert "the last: answered 500" in state.reason
    assert bench.now - 1000 >= 3600
    assert bench.noted[-1][0] == state
    assert module.LEAST_FAILURES <= state.failures < 30


def test_a_few_failures_are_no_reason_however_far_apart(bench):
    bench.release(a=1)
    for _ in range(module.LEAST_FAILURES - 1):
        bench.outcomes = [BAD]
        bench.courier.attempt()
        bench.now += 100_000
    assert bench.courier.state.word == "failing"


def test_a_success_in_between_counts_from_the_start(bench):
    for version in range(1, 30):
        bench.release(a=version)
        bench.outcomes = [BAD] * (module.LEAST_FAILURES - 1)
        bench.run()
        bench.now += 3600
    assert bench.courier.state.word == "live"


def test_gone_is_gone_at_once_and_back_when_an_operator_says_so(bench):
    bench.release(a=1)
    bench.outcomes = [GONE]
    bench.run()
    assert bench.courier.state.reason == "answered 410: gone"
    bench.release(a=2, b=3)
    assert bench.courier.due_in_s() is None
    bench.courier.begin_again(hook(version=2))
    assert bench.courier.state.word == "live"
    bench.run()
    assert bench.sent == [("a", 1), ("a", 2), ("b", 3)]


def test_without_a_lease_nothing_is_sent_and_nothing_lost(bench):
    bench.release(a=1, b=2)
    bench.left_s = 0.0
    with pytest.raises(UnavailableError):
        bench.courier.attempt()
    assert bench.sent == []
    bench.left_s = 3.0
    bench.run()
    assert bench.sent == [("a", 1), ("b", 2)]


def test_what_redis_could_not_be_told_is_told_later_and_not_sent_again(bench):
    bench.release(a=1)
    bench.redis = False
    with pytest.raises(UnavailableError):
        bench.courier.attempt()
    bench.redis = True
    bench.release(b=2)
    bench.run()
    assert bench.sent == [("a", 1), ("b", 2)]
    assert bench.noted[-1][1] == {"a": 1, "b": 2}


def test_a_release_waits_until_it_is_announced_but_not_for_ever(bench):
    bench.release(a=1)
    bench.unannounced = {"a"}
    bench.courier.attempt()
    assert bench.sent == [("a", 1)]
    assert module.ANNOUNCE_S <= bench.now - 1000 < module.ANNOUNCE_S + 0.1
