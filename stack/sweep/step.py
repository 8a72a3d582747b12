"""One step of the sweep: a rate, a load, and what came of it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import requests

from holdfast.errors import HoldfastError
from stack.load import cpu
from stack.load.ages import on_screens
from stack.load.crowd import Crowd
from stack.load.updates import Updates
from stack.stack import Stack
from stack.sweep.counts import count

VALUE = "counter"
# It alone: releases are counted over all values.
VALUES = f"""
[values.{VALUE}]
reduce = "sum"
default = true
"""
UNLIMITED = 1_000_000  # the most that may be set: no limit
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """updates, arrivals (of viewers), readers (of snapshots): per s. stay_s: how long a viewer
    holds its stream. standing: viewers who are there all the time.
    """

    updates: float
    arrivals: float
    stay_s: float
    readers: float
    standing: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """origin, releases, purges, deliveries: per s. Ages in s. cores: by part.

    viewers: on average. stale: screens that did not show the final value when all was quiet.
    """

    rate: float
    seconds: float
    origin: float
    hit_ratio: float
    releases: float
    purges: float
    deliveries: float
    viewers: float
    mean_age: float
    p50_age: float
    p99_age: float
    gaps: int
    went_back: int
    failed: int
    stale: int
    cores: Mapping[str, float] = field(default_factory=dict)


def measure(stack: Stack, rate: float, load: Load, seconds: float) -> Measured:
    """Set the bucket to `rate` (math.inf = unlimited), load, measure for `seconds`, let it rest."""
    set_rate(stack, rate)
    base = snapshot(stack)["value"]
    warm_up_s = max(2.0, load.stay_s) + (0 if rate >= 1 else 1 / rate)
    with (
        Crowd(f"{stack.url}/values/{VALUE}?as=sse") as viewers,
        Crowd(f"{stack.url}/values/{VALUE}", once=True, accept="application/json") as readers,
    ):
        viewers.connect(load.standing)
        viewers.wait_ready(load.standing, PATIENCE_S)
        readers.report()
        with Updates(stack.kafka, VALUE, load.updates) as updates:
            viewers.flow(load.arrivals, load.stay_s)
            readers.flow(load.readers, 0.0)
            time.sleep(warm_up_s)
            viewers.mark()
            readers.mark()
            before, began = count(stack), time.time()
            time.sleep(seconds)
            after, report = count(stack), viewers.report()
            took = time.time() - began
            client = report.cpu_s
            failed = report.failed.total() + report.lost + readers.report().failed.total()
            # Let it rest with whoever is there now: nobody leaves, nobody comes.
            viewers.flow(0.0, load.stay_s)
        stale = _stale_at_the_end(stack, viewers, base + len(updates.acknowledged))
    ages = on_screens(report, updates.acknowledged, base, began)
    shown_s = sum(report.shown_until) - sum(max(began, since) for since in report.shown_from)
    requests_seen = (after.hits - before.hits) + (after.misses - before.misses)
    return Measured(
        rate=rate,
        seconds=took,
        origin=(after.origin - before.origin) / took,
        hit_ratio=(after.hits - before.hits) / requests_seen if requests_seen else math.nan,
        releases=(after.releases - before.releases) / took,
        purges=(after.purges - before.purges) / took,
        deliveries=report.deliveries / took,
        viewers=shown_s / took,
        mean_age=ages.mean,
        p50_age=ages.p50,
        p99_age=ages.p99,
        gaps=report.gaps,
        went_back=report.went_back,
        failed=failed,
        stale=stale,
        cores={**cpu.shares(before.cpu, after.cpu, took), "viewers": client / took},
    )


def set_rate(stack: Stack, rate: float) -> None:
    """As an operator does. One release at once, unless it is unlimited."""
    knobs = {"rate": rate, "burst": 1}
    if math.isinf(rate):
        knobs = {"rate": UNLIMITED, "burst": UNLIMITED}
    stack.desk.call("PUT", f"values/{VALUE}/rate", knobs, etag="*")


def snapshot(stack: Stack) -> dict[str, int]:
    """The value at the front door."""
    answer: dict[str, int] = requests.get(f"{stack.url}/values/{VALUE}", timeout=10).json()
    return answer


def _stale_at_the_end(stack: Stack, viewers: Crowd, expected: int) -> int:
    """Screens that do not show the final release, once there is one or patience is over."""
    # Lifted, so that nobody waits 5 s for the last token of a slow rate.
    set_rate(stack, math.inf)
    deadline = time.monotonic() + PATIENCE_S
    while snapshot(stack)["value"] != expected:
        if time.monotonic() > deadline:
            raise HoldfastError(f"the value is not {expected} after {PATIENCE_S:g} s of rest")
        time.sleep(0.05)
    final = snapshot(stack)["version"]
    # Promise 2 of the design allows a recovery 5 s and more.
    while True:
        screens = viewers.report().screens
        stale = screens.total() - screens[final]
        if not stale or time.monotonic() > deadline:
            return stale
        time.sleep(0.2)
