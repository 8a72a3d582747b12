"""`holdfast config`: the settings of this environment, checked or shown."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import click
from annotated_types import Ge, Gt, Le, Lt
from dotenv import dotenv_values
from pydantic import SecretStr

from holdfast import config, kafka, topics, values
from holdfast.environment import Found, hints, variable
from holdfast.errors import ConfigError

PARTS = ("origin", "publisher", "relay")
_BOUNDS = {Ge: "from", Gt: "above", Le: "to", Lt: "below"}


@click.command("config")
@click.option("--check", is_flag=True, help="Say what is wrong, if anything, and exit with 2.")
@click.option("--show", is_flag=True, help="Each setting and where it comes from; no secrets.")
@click.option("--markdown", is_flag=True, help="What settings there are: docs/settings.md.")
@click.option(
    "--part",
    type=click.Choice(PARTS),
    multiple=True,
    help="Ask for the secrets of this part only; may be repeated.",
)
@click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False),
    help="A file of NAME=value lines to read beneath the environment.",
)
@click.pass_context
def configuration(
    ctx: click.Context,
    check: bool,
    show: bool,
    markdown: bool,
    part: tuple[str, ...],
    env_file: str | None,
) -> None:
    """What the parts would find if they started in this environment."""
    if not (check or show or markdown):
        click.echo(ctx.get_help())
        return
    if markdown:
        for line in page():
            click.echo(line)
        return
    lines = {} if env_file is None else dotenv_values(env_file, interpolate=False)
    environ = {key: value or "" for key, value in lines.items()} | dict(os.environ)
    found = config.find(environ)
    if show:
        for line in shown(environ, found):
            click.echo(line)
    for line in hints(found.unknown, config.NAMES):
        click.echo(f"warning: {line}", err=True)
    if check:
        faults = faults_of(environ, part or PARTS)
        for fault in faults:
            click.echo(fault, err=True)
        if faults:
            ctx.exit(2)
        click.echo("the settings and values.toml are right")


def faults_of(environ: Mapping[str, str], parts: tuple[str, ...]) -> list[str]:
    """What keeps `parts` from starting, a line each."""
    try:
        settings = config.load(environ)
    except ConfigError as error:
        return list(error.faults)
    steps: list[Callable[[], object]] = [partial(settings.require, part) for part in parts]
    # The last reads the same file as the one before, and may find the same fault.
    steps += [partial(values.load, settings.values), partial(topics.load, settings.values)]
    faults: list[str] = []
    for step in steps:
        try:
            step()
        except ConfigError as error:
            faults += [fault for fault in error.faults if fault not in faults]
    return faults


def shown(environ: Mapping[str, str], found: Found) -> Iterator[str]:
    """A line for each setting: variable, value, source. What may be a secret is masked."""
    rows = []
    for name in config.NAMES:
        key = variable(name)
        source = found.sources.get(key)
        value = found.values.get(name) if source else _default(name)
        rows.append((key, mask(name, value), source))
    for name, value in found.kafka.items():
        key = kafka.variable(name)
        rows.append((key, "***" if kafka.is_secret(name) else value, found.sources[key]))
    width = max(len(key) for key, _, _ in rows)
    for key, value, source in rows:
        if source is None:
            origin = "default"
        else:
            origin = "environment" if source == key else f"file {environ[source]}"
        yield f"{key:{width}}  {value}  ({origin})"


def mask(name: str, value: str | None) -> str:
    """`value` of a setting, as far as it may be shown."""
    if not value:
        return "not set" if value is None else "empty"
    if config.Settings.model_fields[name].annotation == SecretStr | None:
        return "***"
    if config.about(name)["file"]:
        value = re.sub(r"(//[^:/@\s]*):[^@/\s]*@", r"\1:***@", value)
        value = re.sub(r"([?&](?:key|password|[a-z_-]*-key)=)[^&,\s]*", r"\1***", value)
    return value


def page() -> Iterator[str]:
    """The table in docs/settings.md."""
    yield "| variable | default | unit, range | used by | meaning |"
    yield "|---|---|---|---|---|"
    for name in config.NAMES:
        about = config.about(name)
        file = " *" if about["file"] else ""
        default = _default(name)
        cells = (
            f"`{variable(name)}`{file}",
            f"`{default}`" if default else "none",
            ", ".join(filter(None, (about["unit"], _range(name)))),
            about["by"],
            config.Settings.model_fields[name].description,
        )
        yield f"| {' | '.join(str(cell) for cell in cells)} |".replace("|  |", "| |")


def _default(name: str) -> str | None:
    """As the environment would say it."""
    default: Any = config.Settings.model_fields[name].default
    if default is None:
        return None
    return ",".join(default) if isinstance(default, tuple) else f"{default}".removesuffix(".0")


def _range(name: str) -> str:
    bounds = {}
    for bound in config.Settings.model_fields[name].metadata:
        for kind, word in _BOUNDS.items():
            if isinstance(bound, kind):
                bounds[word] = getattr(bound, kind.__name__.lower())
    return " ".join(f"{word} {bounds[word]}" for word in _BOUNDS.values() if word in bounds)
