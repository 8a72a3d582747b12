"""Rates, pauses and the budget on two publishers under load: what is released, and when."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from itertools import pairwise

import pytest
import redis
from confluent_kafka import Producer

from stack.layout import Sizes
from stack.load.updates import Updates
from stack.temporary import temporary_stack
from tests.e2e.viewers import snapshot, until

VALUES = """
[values.counter]
reduce = "sum"
default = true
[values."busy.*"]
reduce = "sum"
"""
RATE = "values/counter/rate"
NAMES = [f"busy.{n}" for n in range(100)]
CLOCK_MS = 1  # releases are noted in whole ms


@pytest.fixture(scope="module")
def stack():
    with temporary_stack(VALUES, sizes=Sizes(publishers=2)) as stack:
        yield stack


def releases(stack, name: str) -> list[int]:
    """When the last 60 were made, ms."""
    with redis.Redis.from_url(stack.redis_url) as client:
        return [int(entry.split(b" ")[2]) for entry in client.lrange(f"history:{name}", 0, -1)]


def now_ms() -> float:
    return time.time() * 1000


class Desk:
    """Changes the counter's rate, and notes how its bucket may have filled meanwhile.

    The moment of a change lies between the question and its answer: each rate is taken to hold for
    as long as it may have. spans: rate, from, to (ms).
    """

    def __init__(self, stack) -> None:
        self.call = stack.desk.call
        self.spans: list[tuple[float, float, float]] = []

    def rate(self, rate: float) -> None:
        asked = now_ms()
        self.call("PUT", RATE, {"rate": rate}, etag="*")
        if self.spans:
            self.end()
        self.spans.append((rate, asked, asked))

    def end(self) -> None:
        """The last rate held until now, at most."""
        rate, since, _ = self.spans[-1]
        self.spans[-1] = (rate, since, now_ms())

    def tokens(self, begin: float, end: float) -> float:
        """How many the bucket may have got from one moment to another."""
        return sum(
            rate * max(0.0, min(end, until_) - max(begin, since)) / 1000
            for rate, since, until_ in self.spans
        )


def test_rates_that_change_under_load_fit_the_bucket_and_the_last_value_shows(stack):
    desk = Desk(stack)
    with Updates(stack.kafka, "counter", 500) as updates:
        for rate, seconds in ((1, 2), (10, 2), (0.2, 5.2)):
            desk.rate(rate)
            time.sleep(seconds)
        desk.call("POST", "values/counter/pause")
        paused = now_ms()
        # A takeover in the middle of the pause: they come back, and have to read it first.
        for publisher in stack.parts_of("publisher"):
            os.kill(stack.pid(publisher), signal.SIGKILL)
        applied = desk.call("GET", "values/counter").body["working"]
        until(
            lambda: desk.call("GET", "values/counter").body["working"] > applied + 500,
            "updates applied by the new publishers",
            60,
        )
        time.sleep(1)
        resumed = now_ms()
        # A paused value's bucket fills all the same, up to its burst.
        desk.rate(1)
        desk.call("POST", "values/counter/resume")
        time.sleep(2.2)
    assert updates.failed == 0
    count = len(updates.acknowledged)
    until(lambda: snapshot(stack.url, "counter")["value"] == count, "the last value", 20)
    desk.end()

    made = releases(stack, "counter")
    assert [at for at in made if paused < at < resumed] == []
    for first, begin in enumerate(made):
        for number, end in enumerate(made[first:], 1):
            got = desk.tokens(begin - CLOCK_MS, end + CLOCK_MS)
            assert number <= 1 + got, (number, got, begin, end)
    windows = [
        f"{rate:g}/s for {(end - begin) / 1000:.1f} s: {sum(begin <= at < end for at in made)}"
        for rate, begin, end in desk.spans
    ]
    print(f"releases at {'; at '.join(windows)}; paused for {(resumed - paused) / 1000:.1f} s: 0")
    # At least this many, on whatever machine: the rates do differ.
    counts = [int(window.rpartition(" ")[2]) for window in windows]
    assert counts[1] > 8
    assert 1 <= counts[2] <= 4
    assert counts[3] >= 1


def test_settings_survive_a_wipe_of_redis(stack):
    stack.desk.call("PUT", RATE, {"rate": 7}, etag="*")
    with redis.Redis.from_url(stack.redis_url) as client:
        client.flushall()

    def back():
        with redis.Redis.from_url(stack.redis_url) as client:
            return float(client.hget("bucket:counter", "rate") or 0) == 7

    until(back, "a release by the rate that was set", 30)
    assert stack.desk.call("GET", RATE).body["set"] == {"rate": 7}


def test_a_hundred_busy_values_share_20_keys_a_second_and_none_starves(stack):
    stack.desk.call("PUT", "budget", {"per_second": 20}, etag="*")
    producer = Producer({"bootstrap.servers": stack.kafka, "partitioner": "murmur2_random"})

    def touch() -> None:
        """An update of each: every one is busy, whatever was released."""
        for name in NAMES:
            producer.produce("updates", b'{"add":1}', name)
        producer.flush(10)

    touch()
    until(lambda: all(releases(stack, name) for name in NAMES), "a first release of each", 60)
    begun = now_ms()
    while now_ms() < begun + 12_000:
        touch()
        time.sleep(0.2)
    ended = now_ms()
    by_name = {name: [at for at in releases(stack, name) if begun <= at <= ended] for name in NAMES}
    made = sorted(at for times in by_name.values() for at in times)
    in_a_second = max(sum(at <= other < at + 1000 for other in made) for at in made)
    longest_s = max(
        (after - before) / 1000
        for times in by_name.values()
        for before, after in pairwise([begun, *times, ended])
    )
    counts = Counter(len(times) for times in by_name.values())
    print(
        f"{len(made)} releases in 12 s, at most {in_a_second} in a second, {counts}; {longest_s} s"
    )
    assert in_a_second <= 20
    assert longest_s <= 2 * 100 / 20
    assert len(made) > 12 * 20 / 2
