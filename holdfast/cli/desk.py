"""What the operator's commands share: whom to ask, and what their exit status says."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from holdfast.cli.stack import dir_option, open_stack
from holdfast.desk_api import DeskApi, RefusedError, Reply
from holdfast.errors import HoldfastError, UnavailableError

REFUSED, UNREACHABLE, CHANGED_MEANWHILE, NOT_YET = 1, 3, 4, 5  # 2 is click's: wrong usage


class DeskFault(click.ClickException):
    """What was not done. Ends the command with that exit status."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


def desk_command(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command its API as the first argument, from --url and the token, or from --dir."""

    @click.option("--json", "as_json", is_flag=True, help="For programs.")
    @click.option(
        "--url",
        envvar="HOLDFAST_URL",
        show_envvar=True,
        help="The front door. The token: HOLDFAST_OPERATOR_TOKEN. Without: the stack in --dir.",
    )
    @dir_option
    @functools.wraps(command)
    def with_api(*args: Any, url: str | None, folder: str, **options: Any) -> None:
        try:
            command(_api(url, folder), *args, **options)
        except RefusedError as error:
            code = CHANGED_MEANWHILE if error.status == 412 else REFUSED
            raise DeskFault(code, str(error)) from error
        except UnavailableError as error:
            raise DeskFault(UNREACHABLE, str(error)) from error
        except HoldfastError as error:
            raise DeskFault(REFUSED, str(error)) from error

    return with_api


def _api(url: str | None, folder: str) -> DeskApi:
    # Not an option: other users of the machine can read those.
    token = os.environ.get("HOLDFAST_OPERATOR_TOKEN", "")
    if url is not None:
        if not token:
            raise click.UsageError("--url needs the token of an operator: HOLDFAST_OPERATOR_TOKEN")
        return DeskApi(url, token)
    if not (Path(folder) / "stack.json").exists():
        raise click.UsageError(f"there is no stack in {folder}; give --url, or --dir")
    stack = open_stack(folder)
    return DeskApi(stack.url, token) if token else stack.desk


def finish(reply: Reply, as_json: bool, show: Callable[[dict[str, Any]], None]) -> None:
    """Print what came back. Exit status 5 when it was written, but nobody acts on it so far."""
    if as_json:
        click.echo(json.dumps(reply.body))
    else:
        show(reply.body)
    if not reply.taken:
        raise DeskFault(NOT_YET, "written, but no publisher has taken it yet; it is not lost")
