"""`holdfast top`: the figures that the console shows, on a terminal.

Exit status: as of the other operators' commands.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from holdfast.cli.desk import desk_command
from holdfast.desk_api import DeskApi
from holdfast.errors import UnavailableError

EVERY_S = 1.0
WIDE = 200  # where there is no terminal
MOST_TEXT = 28  # characters of a value
UNKNOWN = "-"


@click.command()
@click.option("--once", is_flag=True, help="Show them once, and end.")
@click.option(
    "--values", "most", default=20, show_default=True, type=click.IntRange(1, 100), help="At most."
)
@desk_command
def top(api: DeskApi, once: bool, most: int, as_json: bool) -> None:
    """Show live what goes in and out, edge nodes, Pushpins and lag; Ctrl-C ends it.

    With --json a line a second, all figures in it.
    """
    if once:
        found = api.call("GET", "overview").body
        if as_json:
            click.echo(json.dumps(found))
        else:
            width = None if sys.stdout.isatty() else WIDE
            Console(highlight=False, width=width).print(screen(found, most))
        return
    try:
        if as_json:
            for overview in _every_second(api):
                click.echo(json.dumps(overview))
            return
        with Live(Text("waiting for figures"), auto_refresh=False, screen=True) as live:
            for overview in _every_second(api, lambda why: live.update(Text(why), refresh=True)):
                live.update(screen(overview, most), refresh=True)
    except KeyboardInterrupt:
        return


def _every_second(
    api: DeskApi, on_away: Callable[[str], None] | None = None
) -> Iterator[dict[str, Any]]:
    """Overviews. Raises UnavailableError unless `on_away` wants to hear of it instead."""
    while True:
        started = time.monotonic()
        try:
            yield api.call("GET", "overview").body
        except UnavailableError as error:
            if on_away is None:
                raise
            on_away(f"{error}; asking again")
        time.sleep(max(0.0, started + EVERY_S - time.monotonic()))


def screen(overview: dict[str, Any], most: int) -> RenderableType:
    """All of an overview, as GET /api/overview answers it."""
    return Group(
        _totals(overview),
        *_alerts(overview["alerts"]),
        "",
        _values(overview, most),
        "",
        _nodes(overview),
        "",
        _partitions(overview["partitions"]),
    )


def _totals(overview: dict[str, Any]) -> RenderableType:
    totals, budget = overview["totals"], overview["budget"]
    left = [each for each in (budget["left_second"], budget["left_hour"]) if each is not None]
    pairs = {
        "in": f"{_number(totals['updates_per_s'])}/s",
        "out": f"{_number(totals['releases_per_s'])}/s",
        "viewers": _number(totals["viewers"], 0),
        "deliveries": f"{_number(totals['deliveries_per_s'])}/s",
        "hits": _percent(totals["hit_ratio"]),
        "origin": f"{_number(totals['origin_requests_per_s'])}/s",
        "behind": f"{_number(totals['behind_s'])} s",
        "to apply": _number(totals["lag"], 0),
        "budget": _number(max(0.0, min(left)), 0) if left else "no limit",
    }
    line = Text()
    for name, figure in pairs.items():
        line.append(f"{name} ", style="dim").append(f"{figure}   ", style="bold")
    return line


def _alerts(alerts: list[dict[str, str]]) -> Iterator[RenderableType]:
    for alert in alerts:
        word, style = ("PROBLEM", "bold red") if alert["level"] == "bad" else ("note", "yellow")
        yield Text(f"{word} {alert['text']}", style=style)


def _values(overview: dict[str, Any], most: int) -> RenderableType:
    table = _table("value", "on screens", "working", "in/s", "out/s", "rate", "tokens", "behind")
    for value in overview["values"][:most]:
        state = f"paused by {value['paused_by']}" if value["paused_by"] else ""
        table.add_row(
            value["name"],
            escape(_short(value["released"])),
            escape(_short(value["working"])),
            _number(value["updates_per_s"]),
            _number(value["releases_per_s"]),
            f"{value['rate']:g} burst {value['burst']}",
            _number(value["tokens"]),
            state or f"{_number(value['behind_s'])} s",
        )
    there = max(overview["totals"]["values"], len(overview["values"]))
    hidden = there - min(most, len(overview["values"]))
    return Group(table, Text(f"and {hidden} more", style="dim")) if hidden > 0 else table


def _nodes(overview: dict[str, Any]) -> RenderableType:
    table = _table("node", "at", "p50 ms", "p99 ms", "sent/s", "failed", "owed", "itself")
    for node in (*overview["edges"], *overview["pushpins"]):
        owed = node["owed_since_ms"]
        table.add_row(
            node["name"],
            escape(node["url"]),
            _number(node["p50_ms"]),
            _number(node["p99_ms"]),
            _number(node["sent_per_s"]),
            _number(node["failed_last_minute"], 0),
            "" if owed is None else f"for {(overview['at_ms'] - owed) / 1000:.0f} s",
            _itself(node),
            style="red" if owed is not None else "",
        )
    return table


def _itself(node: dict[str, Any]) -> str:
    """What a node says of itself."""
    if "viewers" in node:
        viewers = _number(node["viewers"], 0)
        return f"{viewers} viewers, {_number(node['deliveries_per_s'])} deliveries/s"
    return (
        f"{_percent(node['hit_ratio'])} hits, {_number(node['requests_per_s'])} requests/s, "
        f"{_number(node['origin_requests_per_s'])} to the origin"
    )


def _partitions(partitions: list[dict[str, Any]]) -> RenderableType:
    table = _table("partition", "read by", "to apply")
    for part in partitions:
        table.add_row(
            escape(f"{part['topic']}[{part['number']}]"),
            part["reader"] or "nobody",
            _number(part["lag"], 0),
            style="" if part["reader"] else "red",
        )
    return table


def _table(*titles: str) -> Table:
    return Table(*titles, box=None, header_style="dim", pad_edge=False)


def _number(value: float | None, digits: int = 1) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:,.{digits if abs(value) < 10 else 0}f}"


def _percent(ratio: float | None) -> str:
    return UNKNOWN if ratio is None else f"{100 * ratio:.0f} %"


def _short(text: str | None) -> str:
    if text is None:
        return UNKNOWN
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 1]}…"
