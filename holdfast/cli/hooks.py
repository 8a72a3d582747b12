"""`holdfast hooks`: webhooks, at an operator's desk. Exit status as of `holdfast rate`."""

from __future__ import annotations

import json
import sys
from typing import IO, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from holdfast.cli.desk import desk_command, finish
from holdfast.desk_api import DeskApi, segment


@click.group()
def hooks() -> None:
    """Webhooks: who is sent which releases."""


@hooks.command("list")
@desk_command
def list_hooks(api: DeskApi, as_json: bool) -> None:
    """List every webhook and how its receiver takes it."""
    body = api.call("GET", "webhooks").body
    if as_json:
        click.echo(json.dumps(body))
        return
    table = Table("id", "values", "url", "state", "failures", "last", "delivered", box=None)
    for hook in body["webhooks"]:
        table.add_row(
            hook["id"],
            escape(hook["values"]),
            escape(hook["url"]),
            hook["state"],
            str(hook["failures"] or ""),
            escape(_last(hook)),
            hook["delivered_at"] or "never",
        )
    _print(table)


@hooks.command()
@click.argument("values", metavar="NAME|GLOB")
@click.argument("target", metavar="URL")
@click.option(
    "--secret-file",
    type=click.File(),
    help="Holds the receiver's secret, whsec_...; - reads it from stdin. Without: one is made.",
)
@desk_command
def add(api: DeskApi, values: str, target: str, secret_file: IO[str] | None, as_json: bool) -> None:
    """POST each release of NAME, or of all values that GLOB matches, to URL.

    The secret, by which the receiver verifies them, is shown this once.
    """
    body = {"values": values, "url": target}
    if secret_file is not None:
        body["secret"] = secret_file.read().strip()
    reply = api.call("POST", "webhooks", body)
    finish(reply, as_json, lambda hook: click.echo(f"{hook['id']}\n{hook['secret']}"))


@hooks.command()
@click.argument("hook_id", metavar="ID")
@desk_command
def show(api: DeskApi, hook_id: str, as_json: bool) -> None:
    """Show one webhook."""
    finish(api.call("GET", f"webhooks/{segment(hook_id)}"), as_json, _show)


@hooks.command()
@click.argument("hook_id", metavar="ID")
@desk_command
def enable(api: DeskApi, hook_id: str, as_json: bool) -> None:
    """Try a webhook again at once, whether it was disabled or only fails."""
    reply = api.call("POST", f"webhooks/{segment(hook_id)}/enable")
    finish(reply, as_json, lambda _: click.echo(f"{hook_id} is tried again"))


@hooks.command()
@click.argument("hook_id", metavar="ID")
@desk_command
def remove(api: DeskApi, hook_id: str, as_json: bool) -> None:
    """Send nothing more there."""
    reply = api.call("DELETE", f"webhooks/{segment(hook_id)}")
    finish(reply, as_json, lambda _: click.echo(f"{hook_id} is removed"))


def _show(hook: dict[str, Any]) -> None:
    table = Table("", "", box=None, show_header=False)
    for key in ("id", "values", "url", "state", "failures", "failing_since", "delivered_at"):
        table.add_row(key.replace("_", " "), escape(str(hook[key] or "")))
    table.add_row("last", escape(_last(hook)))
    table.add_row("set by", f"{hook['who']} at {hook['at']}")
    _print(table)


def _last(hook: dict[str, Any]) -> str:
    if hook["disabled"]:
        return f"{hook['disabled']['reason']} (at {hook['disabled']['at']})"
    last = hook["last"]
    return str(last["error"] or last["status"] or "")


def _print(table: Table) -> None:
    width = None if sys.stdout.isatty() else 400
    Console(highlight=False, width=width).print(table)
