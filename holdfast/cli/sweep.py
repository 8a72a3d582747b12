"""`holdfast sweep`: what each purge rate costs, and how old what viewers see gets by it."""

from __future__ import annotations

import math
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from holdfast.errors import HoldfastError
from stack.load import machine
from stack.sweep import report
from stack.sweep.choice import recommend
from stack.sweep.step import VALUES, Load, Measured, measure
from stack.temporary import temporary_stack

RATES = "0.2,0.5,1,2,5,10,50,unlimited"


class _Rates(click.ParamType[list[float]]):
    name = "rates"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[float]:
        if isinstance(value, list):
            return value
        rates = []
        for word in str(value).split(","):
            try:
                rate = math.inf if word.strip() == "unlimited" else float(word)
            except ValueError:
                rate = math.nan
            if not rate > 0:
                self.fail(f"{word!r} is neither a number above 0 nor unlimited", param, ctx)
            rates.append(rate)
        return rates


@click.command()
@click.option("--rates", default=RATES, show_default=True, type=_Rates(), help="Releases/s.")
@click.option("--updates", default=500.0, show_default=True, help="Per second.")
@click.option("--arrivals", default=50.0, show_default=True, help="New viewers per second.")
@click.option("--stay", default=4.0, show_default=True, help="How long a viewer stays, s.")
@click.option("--standing", default=0, show_default=True, help="Viewers who stay all the time.")
@click.option("--readers", default=20.0, show_default=True, help="Snapshot requests per second.")
@click.option("--seconds", default=15.0, show_default=True, help="Of each step, after its warm-up.")
@click.option("--origin-budget", default=10.0, show_default=True, help="Requests/s it may get.")
@click.option("--age", default=2.0, show_default=True, help="That p99 of all screens may have, s.")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False), help="Write the figures there.")
@click.option("--plots", type=click.Path(file_okay=False), help="Draw PNG files in this folder.")
def sweep(
    rates: list[float],
    updates: float,
    arrivals: float,
    stay: float,
    standing: int,
    readers: float,
    seconds: float,
    origin_budget: float,
    age: float,
    csv_file: str | None,
    plots: str | None,
) -> None:
    """Step a value's token bucket through rates under a fixed load; recommend one.

    Starts a stack of its own with one of each part. Updates go straight to Kafka, so that the
    origin's figures are those of reading. The model's figures stand beside the measured ones.
    """
    console = Console(stderr=True, highlight=False)
    load = Load(updates, arrivals, stay, readers, standing)

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    rows: list[Measured] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    try:
        console.print("starting a stack of its own")
        with temporary_stack(VALUES) as stack, Progress(*columns, console=console) as progress:
            for number, rate in enumerate(rates, 1):
                title = f"{number}/{len(rates)} {report.name_of(rate)} releases/s"
                task = progress.add_task(title)
                rows.append(measure(stack, rate, load, seconds))
                progress.remove_task(task)
        _show(rows, load)
        choice = recommend(rows, origin_budget, age)
        if csv_file is not None:
            report.write_csv(Path(csv_file), rows, load)
        if plots is not None:
            for file in report.plot(Path(plots), rows, load):
                console.print(f"wrote {file}")
    except HoldfastError as error:
        raise click.ClickException(str(error)) from error
    wanted = f"p99 within {age:g} s and at most {origin_budget:g} origin requests/s"
    found = "no rate" if choice.rate is None else f"{report.name_of(choice.rate)} releases/s"
    click.echo(f"for {wanted}: {found} ({choice.why})")


def _show(rows: Sequence[Measured], load: Load) -> None:
    # Wide enough for the tables, also where there is no terminal.
    out = Console(highlight=False, soft_wrap=True, width=max(130, Console().width))
    out.print(machine.facts())
    table = Table(*report.COLUMNS, box=None)
    for words in report.table_rows(rows, load):
        table.add_row(*words)
    out.print(table)
    parts = sorted({part for row in rows for part in row.cores})
    cores = Table("rate", *parts, box=None, title="cores in use")
    for row in rows:
        cores.add_row(
            report.name_of(row.rate), *(f"{row.cores.get(part, 0.0):.2f}" for part in parts)
        )
    out.print(cores)
    for row in rows:
        if row.failed or row.gaps or row.went_back:
            out.print(
                f"{report.name_of(row.rate)}: {row.failed} viewers or readers failed, "
                f"{row.gaps} gaps, {row.went_back} versions went back"
            )
