"""`holdfast values`, `rate`, `pause`, `resume`, `purge`, `budget`, `audit`: an operator's desk.

Exit status: 0 done, 1 refused, 2 wrong usage, 3 can't be reached, 4 changed meanwhile by somebody
else, 5 written but not in effect yet.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from holdfast.cli.desk import desk_command, finish
from holdfast.desk_api import DeskApi, segment

KNOBS = ("rate", "burst", "threshold", "settle")
WINDOWS = ("per_second", "per_hour")


@click.command()
@click.option("--prefix", default="", help="Only values whose names begin so.")
@desk_command
def values(api: DeskApi, prefix: str, as_json: bool) -> None:
    """List every value: what is shown, what is worked on, its rules in effect."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        path = f"values?limit=1000&prefix={segment(prefix)}&after={segment(after)}"
        page = api.call("GET", path).body
        found += page["values"]
        if page["next"] is None:
            break
        after = page["next"]
    if as_json:
        click.echo(json.dumps({"values": found}))
        return
    table = Table("value", "shown", "worked on", "version", *KNOBS, "tokens", "state", box=None)
    for value in found:
        table.add_row(
            value["name"],
            escape(_short(value["released"])),
            escape(_short(value["working"])),
            str(value["version"]),
            *(_knob(value, knob) for knob in KNOBS),
            f"{value['tokens']:.1f}",
            _state(value),
        )
    _print(table)


@click.command()
@click.argument("words", nargs=-1, metavar="[NAME] [RATE]")
@click.option("--burst", type=int, help="Releases at once after a pause.")
@click.option("--threshold", type=float, help="Release only when it moved that far ...")
@click.option("--settle", type=float, help="... but any change after so many seconds.")
@click.option("--family", help="Of a family, like 'price.*', instead of NAME.")
@click.option(
    "--default", "default", is_flag=True, help="Of all values that nothing else is said of."
)
@click.option("--reset", is_flag=True, help="Go back to what holds without an operator's word.")
@desk_command
def rate(
    api: DeskApi,
    words: tuple[str, ...],
    burst: int | None,
    threshold: float | None,
    settle: float | None,
    family: str | None,
    default: bool,
    reset: bool,
    as_json: bool,
) -> None:
    """Show or set how often a value is released.

    `rate counter` shows it; `rate counter 0.5 --burst 2` sets it, in releases per second, and
    leaves what else is set as it is.
    """
    path, number = _place(words, family, default)
    given = {"rate": number, "burst": burst, "threshold": threshold, "settle": settle}
    wanted = {knob: value for knob, value in given.items() if value is not None}
    if reset and wanted:
        raise click.UsageError("--reset sets nothing")
    reply = api.call("GET", path)
    if reset:
        reply = api.call("DELETE", path, etag=reply.etag)
    elif wanted:
        reply = api.call("PUT", path, {**(reply.body["set"] or {}), **wanted}, etag=reply.etag)
    finish(reply, as_json, _show_rules)


def _place(words: tuple[str, ...], family: str | None, default: bool) -> tuple[str, float | None]:
    """The path that is meant, and the rate that is wanted."""
    rest = list(words)
    if family is not None and default:
        raise click.UsageError("either --family or --default")
    if family is not None:
        path = f"families/{segment(family)}"
    elif default:
        path = "defaults"
    elif rest:
        path = f"values/{segment(rest.pop(0))}/rate"
    else:
        raise click.UsageError("the rate of what? Give NAME, --family or --default")
    if len(rest) > 1:
        raise click.UsageError(f"too much: {' '.join(rest[1:])}")
    try:
        return path, float(rest[0]) if rest else None
    except ValueError:
        raise click.UsageError(f"{rest[0]} is no rate: releases per second, as a number") from None


def _show_rules(body: dict[str, Any]) -> None:
    table = Table("", "in effect", "set by", box=None)
    for knob in KNOBS:
        table.add_row(knob, f"{body['rules'][knob]:g}", _source(body["from"][knob]))
    _print(table)
    if body["set"] is not None:
        click.echo(f"{body['who']} set {_pairs(body['set'])} at {body['at']}")


@click.command()
@click.argument("name")
@desk_command
def pause(api: DeskApi, name: str, as_json: bool) -> None:
    """Stop the releases of NAME; its updates count all the same."""
    reply = api.call("POST", f"values/{segment(name)}/pause")
    finish(reply, as_json, lambda _: click.echo(f"{name} is paused"))


@click.command()
@click.argument("name")
@desk_command
def resume(api: DeskApi, name: str, as_json: bool) -> None:
    """Let NAME go on: its newest value is released as soon as it has a token."""
    reply = api.call("POST", f"values/{segment(name)}/resume")
    finish(reply, as_json, lambda _: click.echo(f"{name} goes on"))


@click.command()
@click.argument("name")
@desk_command
def purge(api: DeskApi, name: str, as_json: bool) -> None:
    """Purge NAME at every edge node now, and make viewers who are behind catch up."""
    reply = api.call("POST", f"values/{segment(name)}/purge")
    finish(reply, as_json, lambda _: click.echo(f"{name} is being purged"))


class _Keys(click.ParamType[float | str]):
    """A number of keys, or "none" for no limit."""

    name = "keys|none"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | str:
        if value == "none":
            return "none"
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value} is neither a number nor none", param, ctx)


@click.command()
@click.option("--per-second", type=_Keys(), help="Keys that may be purged per second.")
@click.option("--per-hour", type=_Keys(), help="Keys that may be purged per hour.")
@click.option("--reset", is_flag=True, help="Go back to what the environment says.")
@desk_command
def budget(
    api: DeskApi,
    per_second: float | str | None,
    per_hour: float | str | None,
    reset: bool,
    as_json: bool,
) -> None:
    """Show or set how many keys all values together may purge."""
    given = {"per_second": per_second, "per_hour": per_hour}
    wanted = {
        window: None if keys == "none" else keys
        for window, keys in given.items()
        if keys is not None
    }
    if reset and wanted:
        raise click.UsageError("--reset sets nothing")
    reply = api.call("GET", "budget")
    if reset:
        reply = api.call("DELETE", "budget", etag=reply.etag)
    elif wanted:
        reply = api.call("PUT", "budget", {**(reply.body["set"] or {}), **wanted}, etag=reply.etag)
    finish(reply, as_json, _show_budget)


def _show_budget(body: dict[str, Any]) -> None:
    table = Table("keys", "in effect", "left now", box=None)
    for window, left in zip(WINDOWS, ("second", "hour"), strict=True):
        keys = body[window]
        table.add_row(
            window.replace("_", " "),
            "no limit" if keys is None else f"{keys:g}",
            "" if keys is None else f"{body['left'][left]:.1f}",
        )
    _print(table)
    if body["waiting"]:
        click.echo(f"{body['waiting']} values wait for a key")
    if body["set"] is not None:
        click.echo(f"{body['who']} set {_pairs(body['set'])} at {body['at']}")


@click.command()
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 500))
@desk_command
def audit(api: DeskApi, limit: int, as_json: bool) -> None:
    """Show who changed what, newest first."""
    body = api.call("GET", f"audit?limit={limit}").body
    if as_json:
        click.echo(json.dumps(body))
        return
    table = Table("when", "who", "what", "from", "to", box=None)
    for change in body["changes"]:
        ends = (_pairs(change[end]) for end in ("from", "to"))
        table.add_row(change["at"], change["who"], change["key"], *ends)
    _print(table)


def _knob(value: dict[str, Any], knob: str) -> str:
    """A star marks what an operator has set."""
    operators = value["from"][knob] in ("value", "family", "default")
    return f"{value['rules'][knob]:g}{'*' if operators else ''}"


def _state(value: dict[str, Any]) -> str:
    if value["paused"]:
        return f"paused by {value['paused']['who']}"
    if value["waits_for_budget"]:
        return "waits for the budget"
    return "changed" if value["dirty"] else ""


def _source(source: str) -> str:
    return {
        "value": "an operator, for this value",
        "family": "an operator, for the family",
        "default": "an operator, by default",
        "table": "values.toml",
        "defaults": "values.toml, by default",
    }[source]


def _pairs(thing: dict[str, Any] | None) -> str:
    if thing is None:
        return "-"
    pairs = (f"{key} {'no limit' if value is None else value}" for key, value in thing.items())
    return ", ".join(pairs) or "yes"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 30 else f"{text[:29]}…"


def _print(table: Table) -> None:
    """For a terminal of any width; where there is none, a row on a line."""
    width = None if sys.stdout.isatty() else 400
    Console(highlight=False, width=width).print(table)


commands = (values, rate, pause, resume, purge, budget, audit)
