"""`holdfast watch`, `add`: a value in a terminal.

Exit status: 0 done, 1 refused, 2 wrong usage, 3 not answered in time.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from holdfast.cli.screen import Screen
from holdfast.cli.stack import dir_option, open_stack
from holdfast.client import Client, RefusedError, Release, State, UnansweredError

REFUSED, UNANSWERED = 1, 3  # 2 is click's: wrong usage


class ValueFault(click.ClickException):
    """What was not done. Ends the command with that exit status."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


url_option = click.option(
    "--url",
    envvar="HOLDFAST_URL",
    show_envvar=True,
    help="The front door. Without: the stack in --dir.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


@click.command()
@click.argument("name")
@click.option("--count", type=click.IntRange(1), help="End after so many releases.")
@json_option
@url_option
@dir_option
def watch(name: str, count: int | None, as_json: bool, url: str | None, folder: str) -> None:
    """Show NAME and each release of it, until Ctrl-C.

    It comes back from whatever happens. On a terminal it is one line that changes; else a line for
    each release, with --json the snapshot as it came.
    """
    with _client(url, folder) as client:
        try:
            if sys.stdout.isatty() and not as_json:
                with Screen(name, Console()) as screen:
                    _watch(client, name, count, screen.show, screen.mark)
            else:
                _watch(client, name, count, _json_line if as_json else _line, _say)
        except RefusedError as error:
            raise ValueFault(REFUSED, str(error)) from error
        except KeyboardInterrupt:
            return
        except BrokenPipeError:  # `| head`
            sys.stderr.close()


def _watch(
    client: Client,
    name: str,
    count: int | None,
    show: Callable[[Release], None],
    mark: Callable[[State], None],
) -> None:
    for number, release in enumerate(client.watch(name, mark), start=1):
        show(release)
        if number == count:
            return


def _line(release: Release) -> None:
    value = json.dumps(release.value, ensure_ascii=False)
    print(release.released_at or "never", value, sep="\t", flush=True)


def _json_line(release: Release) -> None:
    print(json.dumps({field: getattr(release, field) for field in release.__slots__}), flush=True)


def _say(state: State) -> None:
    click.echo(f"{state}", err=True)


@click.command(context_settings={"ignore_unknown_options": True})  # a number may be negative
@click.argument("name")
@click.argument("number")
@click.option("--key", help="Of this update: the same one again changes nothing, for 24 hours.")
@click.option(
    "--timeout", "timeout_s", default=30.0, show_default=True, help="For how long to try, s."
)
@json_option
@url_option
@dir_option
def add(
    name: str,
    number: str,
    key: str | None,
    timeout_s: float,
    as_json: bool,
    url: str | None,
    folder: str,
) -> None:
    """Add NUMBER to NAME, once, however often it has to be sent."""
    with _client(url, folder) as client:
        try:
            accepted = client.add(name, _number(number), key=key, timeout_s=timeout_s)
        except RefusedError as error:
            raise ValueFault(REFUSED, str(error)) from error
        except UnansweredError as error:
            hint = "it may have counted: `--key` makes it safe to say again"
            raise ValueFault(UNANSWERED, f"{error}; {hint}") from error
    if as_json:
        fields = {field: getattr(accepted, field) for field in accepted.__slots__}
        click.echo(json.dumps(fields))
    else:
        place = f"{accepted.topic}/{accepted.partition} at {accepted.offset}"
        click.echo(f"{name} {number}: taken, in {place}")


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise click.UsageError(f"{text} is no number")
    return number


def _client(url: str | None, folder: str) -> Client:
    try:
        return Client(_url(url, folder))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _url(url: str | None, folder: str) -> str:
    if url is not None:
        return url
    if not (Path(folder) / "stack.json").exists():
        raise click.UsageError(f"there is no stack in {folder}; give --url, or --dir")
    return open_stack(folder).url


commands = (watch, add)
