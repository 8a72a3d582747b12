"""Many updates to one value, many viewers: Holdfast's newest value beside nchan's every update.

    .venv/bin/python -m loadtest.conflation

Both get the same updates at the same rate. nchan is told to deliver all of them; Holdfast releases
the newest at the value's rate. Compares how old screens get, and the CPU.
"""

from __future__ import annotations

import time

import click
from rich.console import Console
from rich.table import Table

from loadtest.fanout.nchan import Nchan
from stack.load import cpu, machine
from stack.load.ages import Ages, on_screens
from stack.load.crowd import Crowd
from stack.sweep.step import Load, measure
from stack.temporary import temporary_stack

PATIENCE_S = 60.0


@click.command()
@click.option("--updates", default=1000.0, show_default=True, help="Per second.")
@click.option("--viewers", default=1000, show_default=True, type=click.IntRange(1, 15_000))
@click.option("--rate", default=1.0, show_default=True, help="Holdfast's releases per second.")
@click.option("--seconds", default=15.0, show_default=True)
def main(updates: float, viewers: int, rate: float, seconds: float) -> None:
    """Compare conflation with delivering every update."""
    table = Table(
        *("", "deliveries/s", "age p50, s", "age p99, s", "cores", "viewers' cores"), box=None
    )
    with temporary_stack() as stack:
        load = Load(updates, arrivals=0.0, stay_s=0.0, readers=0.0, standing=viewers)
        row = measure(stack, rate, load, seconds)
        parts = sum(share for part, share in row.cores.items() if part != "viewers")
        table.add_row(
            f"Holdfast, {rate:g} releases/s",
            *(f"{row.deliveries:,.0f}", f"{row.p50_age:.2f}", f"{row.p99_age:.2f}"),
            *(f"{parts:.2f}", f"{row.cores['viewers']:.2f}"),
        )
    ages, deliveries, cores, client, behind_s = _nchan(updates, viewers, seconds)
    table.add_row(
        "nchan, every update",
        *(f"{deliveries:,.0f}", f"{ages.p50:.2f}", f"{ages.p99:.2f}"),
        *(f"{cores:.2f}", f"{client:.2f}"),
    )
    out = Console(highlight=False)
    out.print(machine.facts())
    out.print(table)
    out.print(
        f"Holdfast: {row.stale} stale viewers at the end. nchan: the last viewer had the last "
        f"update {behind_s:.1f} s after it was due."
    )


def _nchan(updates: float, viewers: int, seconds: float) -> tuple[Ages, float, float, float, float]:
    with Nchan() as server:
        server.publish()
        with Crowd(server.url) as crowd:
            crowd.connect(viewers)
            crowd.wait_ready(viewers, PATIENCE_S)
            crowd.mark()
            before, began = server.cpu(), time.time()
            # Updates don't wait until nchan has taken the one before: what it can't take gets old.
            due = [began + number / updates for number in range(round(updates * seconds))]
            versions: list[int] = []
            taken = 0.0
            used: dict[str, float] = {}
            for at in due:
                while (now := time.time()) < at:
                    time.sleep(at - now)
                if not used and now >= began + seconds:
                    used, taken = cpu.shares(before, server.cpu(), now - began), now - began
                    report = crowd.report()
                versions.append(server.publish())
            if not used:
                taken = time.time() - began
                used, report = cpu.shares(before, server.cpu(), taken), crowd.report()
            behind_s = _caught_up(crowd, versions[-1], viewers) - due[-1]
    # Each message carries its version as its value: the update it shows is the one of that number.
    index = {version: number for number, version in enumerate(versions, 1)}
    for place, value in enumerate(report.shown_value):
        report.shown_value[place] = index.get(value, 0)
    ages = on_screens(report, due, 0, began)
    cores, client = sum(used.values()), report.cpu_s / taken
    return ages, report.deliveries / taken, cores, client, behind_s


def _caught_up(crowd: Crowd, version: int, viewers: int) -> float:
    """When every screen showed `version`, s since 1970."""
    deadline = time.monotonic() + PATIENCE_S
    crowd.mark()  # what came before makes the report long
    while crowd.report().screens[version] < viewers:
        if time.monotonic() > deadline:
            raise click.ClickException(f"nchan was still behind after {PATIENCE_S:g} s")
        time.sleep(0.2)
    return time.time()


if __name__ == "__main__":
    main()
