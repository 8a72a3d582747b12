"""What the origin as a function costs when it starts, and afterwards, as AWS would bill it.

    .venv/bin/python -m loadtest.cold_start

Starts it anew for each round under AWS's Lambda emulator, on a stack of its own, and reads the
emulator's reports. The first request of an environment begins with its start; the first update of
one brings Kafka's client and its connection.
"""

from __future__ import annotations

import re
import statistics
import time
from pathlib import Path

import click
import psutil
import requests
from rich.console import Console
from rich.table import Table

from holdfast.errors import HoldfastError
from stack.layout import Sizes
from stack.load import machine
from stack.stack import Stack, StackError
from stack.temporary import temporary_stack

FUNCTION = "function-1"
STEPS = ("first read", "read", "first update", "update", "event stream", "page")
PATIENCE_S = 20.0
_BILLED = re.compile(r"REPORT .*?\tDuration: ([0-9.]+) ms")


class Reports:
    """The emulator's REPORT lines: one an invocation, with its duration in ms."""

    def __init__(self, stack: Stack) -> None:
        self._log = Path(stack.dir) / "logs" / f"{FUNCTION}.log"

    def all(self) -> list[float]:
        return [float(ms) for ms in _BILLED.findall(self._log.read_text(errors="replace"))]

    def next(self, before: int) -> float:
        """The duration of the invocation after `before` others, once it is told."""
        deadline = time.monotonic() + PATIENCE_S
        while len(durations := self.all()) <= before:
            if time.monotonic() > deadline:
                raise StackError("the emulator does not report the invocation")
            time.sleep(0.01)
        return durations[before]


def measure(stack: Stack) -> tuple[dict[str, float], float]:
    """Durations of one environment's invocations, ms, and its memory at the end, MB."""
    stack.restart(FUNCTION)
    url = stack.origin_urls[0]
    reports = Reports(stack)
    durations = {}
    for step in STEPS:
        before = len(reports.all())
        if "update" in step:
            answer = requests.post(f"{url}/values/counter", json={"add": 1}, timeout=30)
        else:
            path = {"page": "/", "event stream": "/values/counter?as=sse"}.get(
                step, "/values/counter"
            )
            answer = requests.get(url + path, timeout=30)
        answer.raise_for_status()
        durations[step] = reports.next(before)
    (runtime,) = psutil.Process(stack.pid(FUNCTION)).children()
    return durations, runtime.memory_info().rss / 1e6


@click.command()
@click.option("--rounds", default=10, show_default=True, type=click.IntRange(1, 100))
def main(rounds: int) -> None:
    """Time a function's start, its first update, and what follows."""
    try:
        with temporary_stack(sizes=Sizes(origins=0, functions=1)) as stack:
            # Its readiness is asked for by the publisher; that must not fall between two steps.
            stack.stop_part("publisher-1")
            results = [measure(stack) for _ in range(rounds)]
    except HoldfastError as error:
        raise click.ClickException(str(error)) from error
    table = Table("invocation", "median, ms", "worst, ms", box=None)
    for step in STEPS:
        times = [durations[step] for durations, _ in results]
        table.add_row(step, f"{statistics.median(times):.1f}", f"{max(times):.1f}")
    out = Console(highlight=False)
    out.print(machine.facts())
    out.print(table)
    out.print(f"memory {statistics.median(memory for _, memory in results):.0f} MB")


if __name__ == "__main__":
    main()
