"""`holdfast predict`: what a rate would do, as the console says it beside its slider."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table

from holdfast.cli.desk import desk_command, finish
from holdfast.desk_api import DeskApi, segment


@click.command()
@click.argument("name")
@click.argument("rate", type=float, required=False)
@desk_command
def predict(api: DeskApi, name: str, rate: float | None, as_json: bool) -> None:
    """Say what RATE (releases/s; else the one in effect) would do to the value NAME.

    For the updates that are measured now, and as if all requests at the edge were for that value.
    """
    query = "" if rate is None else f"?rate={rate!r}"
    finish(api.call("GET", f"values/{segment(name)}/prediction{query}"), as_json, _show)


def _show(body: dict[str, Any]) -> None:
    given, found = body["given"], body["predicted"]
    table = Table(f"{body['name']} at {body['rate']:g}/s", "predicted", box=None)
    for name, figure in (
        ("releases/s", f"{found['releases']:.2f}"),
        ("age on screen, mean", f"{found['mean_age']:.2f} s"),
        ("age on screen, p99", f"{found['p99_age']:.2f} s"),
        ("origin requests/s", f"{found['origin']:.1f}"),
        ("hit ratio", f"{100 * found['hit_ratio']:.1f} %"),
    ):
        table.add_row(name, figure)
    Console(highlight=False).print(table)
    click.echo(f"for {given['updates_per_s']:g} updates/s, {given['requests_per_s']:g} requests/s")
