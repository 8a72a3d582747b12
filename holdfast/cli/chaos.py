"""`holdfast chaos`: break every part under load, and watch what its users get."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from holdfast.errors import HoldfastError
from stack.chaos import report
from stack.chaos.check import Outcome
from stack.chaos.faults import FAULTS
from stack.chaos.round import VALUES, Load, play, prepare
from stack.chaos.spread import sentence
from stack.layout import Sizes
from stack.temporary import temporary_stack

SIZES = Sizes(publishers=2, pushpins=2)
_COUNT = click.IntRange(1, 8)


def parts_of(sizes: Sizes) -> tuple[str, ...]:
    """What can be broken in a stack of these sizes."""
    kinds = ("origin", "publisher", "varnish", "pushpin", "websocket")
    return (*(name for kind in kinds for name in sizes.names(kind)), "redis", "kafka", "nginx")


PARTS = parts_of(SIZES)


@click.command()
@click.option("--part", "parts", multiple=True, help="Only this one, e.g. redis or pushpin-1.")
@click.option("--fault", "faults", multiple=True, type=click.Choice(list(FAULTS)), help="Only it.")
@click.option("--runs", default=1, show_default=True, type=click.IntRange(1, 100))
@click.option("--updates", default=200.0, show_default=True, help="Per second, over all values.")
@click.option("--viewers", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option("--seconds", default=10.0, show_default=True, help="How long a hang lasts.")
@click.option("--origins", default=SIZES.origins, show_default=True, type=_COUNT)
@click.option("--publishers", default=SIZES.publishers, show_default=True, type=_COUNT)
@click.option("--varnishes", default=SIZES.varnishes, show_default=True, type=_COUNT)
@click.option("--pushpins", default=SIZES.pushpins, show_default=True, type=_COUNT)
@click.option("--write", type=click.Path(exists=True, dir_okay=False), help="Put the table there.")
def chaos(
    parts: Sequence[str],
    faults: Sequence[str],
    runs: int,
    updates: float,
    viewers: int,
    seconds: float,
    origins: int,
    publishers: int,
    varnishes: int,
    pushpins: int,
    write: str | None,
) -> None:
    """Break every part of a stack under load and check what its users get.

    Starts a stack of its own. The judge speaks only the public HTTP API: the final values are
    exactly what was acknowledged, no screen goes back, every screen ends right, the rate holds.
    """
    console = Console(stderr=True, highlight=False)
    sizes = replace(
        SIZES, origins=origins, publishers=publishers, varnishes=varnishes, pushpins=pushpins
    )
    known = parts_of(sizes)
    if unknown := set(parts) - set(known):
        raise click.BadParameter(f"no {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    rows = [
        (part, FAULTS[name])
        for _ in range(runs)
        for part in parts or known
        for name in faults or FAULTS
        if FAULTS[name].fits(part)
    ]
    outcomes: list[Outcome] = []

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    try:
        console.print("starting a stack of its own")
        with (
            temporary_stack(VALUES, sizes=sizes) as stack,
            Progress(*columns, console=console) as progress,
        ):
            asyncio.run(prepare(stack.url))
            for number, (part, fault) in enumerate(rows, 1):
                title = f"{number}/{len(rows)} {part}, {fault.name}"
                task = progress.add_task(title)
                outcome = asyncio.run(
                    play(
                        stack,
                        part,
                        fault,
                        Load(updates, viewers, seconds),
                        lambda what, t=task, s=title: progress.update(
                            t, description=f"{s}: {what}"
                        ),  # type: ignore[misc]
                    )
                )
                progress.remove_task(task)
                progress.console.print(f"{title}: {report.sentence(outcome)}", markup=False)
                outcomes.append(outcome)
    except HoldfastError as error:
        raise click.ClickException(str(error)) from error
    Console().print(_table(outcomes))
    if found := report.spreads(outcomes):
        Console().print(sentence(found))
    if write is not None:
        name = "chaos"
        if sizes != SIZES:
            name += f" {origins} {publishers} {varnishes} {pushpins}"
        report.write(Path(write), name, outcomes)
    sys.exit(0 if all(outcome.good for outcome in outcomes) else 1)


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(*report.COLUMNS, box=None)
    for row in report.rows(outcomes):
        table.add_row(*row)
    return table
