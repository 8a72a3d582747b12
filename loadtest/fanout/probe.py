"""One round of the probe: a storm of viewers, then messages one at a time, then back to back."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import click

from stack.load import cpu
from stack.load.crowd import Crowd
from stack.load.report import Report

PATIENCE_S = 10.0
WARM_UP = 200  # viewers
POLL_S = 0.005


class Target(Protocol):
    """Something that holds viewers and takes messages."""

    @property
    def url(self) -> str: ...

    def publish(self) -> object:
        """One message; returns once the target has it."""

    def cpu(self) -> Mapping[str, float]:
        """CPU seconds by part, since its start."""


@dataclass(frozen=True, slots=True)
class Round:
    """connects: viewers with a first event, per s. broadcast: deliveries per s of one message, from
    the first viewer to the last. lost: streams that ended, or that a message
    did not reach. last_viewer_s: from the publish to the last viewer. storm:
    deliveries per s, back to back. client: cores that the viewers themselves took in the storm.
    """

    connects: float
    failed: Mapping[str, int]
    lost: int
    broadcast: float
    last_viewer_s: float
    storm: float
    shares: Mapping[str, float]
    client: float


def play(target: Target, viewers: int, messages: int, seconds: float, processes: int) -> Round:
    """Connect all at once, deliver, and let everybody go."""
    with Crowd(target.url) as few:
        few.connect(WARM_UP)
        few.wait_ready(WARM_UP, 60)
    with Crowd(target.url, processes=processes) as crowd:
        crowd.mark()
        crowd.report()  # its processes have started
        began = time.time()
        crowd.connect(viewers)
        storm = crowd.wait_ready(viewers, 60)
        connects = storm.ready / (storm.last_ready - began)
        one_by_one, latencies, deaf = _one_by_one(target, crowd, storm.ready, messages)
        back_to_back, shares, client = _back_to_back(target, crowd, seconds)
        spreads = [
            (seen.count - 1) / (seen.last - seen.first)
            for seen in one_by_one.releases.values()
            if seen.last > seen.first
        ]
        return Round(
            connects=connects,
            failed=storm.failed,
            lost=storm.lost + one_by_one.lost + back_to_back.lost + deaf,
            broadcast=statistics.median(spreads),
            last_viewer_s=statistics.median(latencies),
            storm=_rate(back_to_back),
            shares=shares,
            client=client,
        )


def _one_by_one(
    target: Target, crowd: Crowd, ready: int, messages: int
) -> tuple[Report, list[float], int]:
    """What was seen, how long the last viewer waited for each message, and who never got it."""
    crowd.mark()
    sent, deaf, expected = [], 0, 0
    for _ in range(messages):
        sent.append(time.time())
        target.publish()
        # Whom a message did not reach is not waited for again.
        missing = _await(crowd, expected + ready - deaf)
        expected += ready - deaf - missing
        deaf += missing
    report = crowd.report()
    lasts = sorted(seen.last for seen in report.releases.values())
    if len(lasts) != len(sent):
        raise click.ClickException(f"{len(sent)} messages were sent, {len(lasts)} came")
    return report, [last - at for at, last in zip(sent, lasts, strict=True)], deaf


def _back_to_back(
    target: Target, crowd: Crowd, seconds: float
) -> tuple[Report, dict[str, float], float]:
    crowd.mark()
    before, began = target.cpu(), time.time()
    # Nobody is waited for, but what the target has taken must come out again in bounded time.
    while time.time() < began + seconds:
        target.publish()
    _settle(crowd)
    took = time.time() - began
    report = crowd.report()
    return report, cpu.shares(before, target.cpu(), took), report.cpu_s / took


def _rate(report: Report) -> float:
    first = min(seen.first for seen in report.releases.values())
    return report.deliveries / (max(seen.last for seen in report.releases.values()) - first)


def _await(crowd: Crowd, deliveries: int) -> int:
    """Until they have come, or patience is over; how many have not."""
    deadline = time.monotonic() + PATIENCE_S
    while (seen := crowd.deliveries()) < deliveries and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return max(0, deliveries - seen)


def _settle(crowd: Crowd) -> None:
    """Until nothing comes any more."""
    deadline = time.monotonic() + PATIENCE_S
    before = -1
    while (seen := crowd.deliveries()) != before and time.monotonic() < deadline:
        before = seen
        time.sleep(1.0)
