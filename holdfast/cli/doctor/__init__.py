"""`holdfast doctor`: looks at every part of a deployment, and says what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import click
import redis
from dotenv import dotenv_values
from rich.console import Console
from rich.markup import escape

from holdfast import config, values
from holdfast.cli.config import PARTS, faults_of
from holdfast.cli.doctor import node_checks
from holdfast.cli.doctor.door_checks import check_door
from holdfast.cli.doctor.findings import Finding, Site, Verdict, fail, ok, warn
from holdfast.cli.doctor.kafka_checks import check_kafka
from holdfast.cli.doctor.machine_checks import check_machine
from holdfast.cli.doctor.redis_checks import check_redis
from holdfast.cli.stack import dir_option, open_stack
from holdfast.environment import hints
from holdfast.errors import HoldfastError

SICK = 1
_MARKS = {"ok": "[green]ok[/]  ", "warn": "[yellow]warn[/]", "fail": "[red]FAIL[/]", "skip": "skip"}
_CHECKS: tuple[tuple[str, Callable[[Site], Iterator[Finding]]], ...] = (
    ("redis", check_redis),
    ("kafka", check_kafka),
    ("origin", node_checks.check_origins),
    ("publisher", node_checks.check_publishers),
    ("edge", node_checks.check_edges),
    ("exporter", node_checks.check_exporters),
    ("pushpin", node_checks.check_pushpins),
    ("front door", check_door),
    ("machine", check_machine),
)


@click.command()
@click.option(
    "--url", envvar="HOLDFAST_URL", help="The front door; without: of the stack in --dir."
)
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False), help="To check its certificate."
)
@click.option("--publisher", "publishers", multiple=True, help="Where one's /metrics are: a URL.")
@click.option("--relay", "relays", multiple=True, help="The same of a relay.")
@click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False),
    help="A file of NAME=value lines to read beneath the environment.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--all", "everything", is_flag=True, help="Also say what is well.")
@dir_option
@click.pass_context
def doctor(
    ctx: click.Context,
    url: str | None,
    ca: str | None,
    publishers: tuple[str, ...],
    relays: tuple[str, ...],
    env_file: str | None,
    as_json: bool,
    everything: bool,
    folder: str,
) -> None:
    """Look at every part, and say what is wrong and what to do.

    Looks at the stack in --dir, or else at what the environment names, as the parts read it.
    It changes nothing: it purges a key that no value has, and publishes to a channel that nobody
    listens to. Exit status: 0 nothing is broken, 1 something is, 2 the settings are wrong.
    """
    try:
        environ, site = _site(folder, env_file, url, ca, publishers, relays)
    except HoldfastError as error:
        raise click.UsageError(str(error)) from error
    findings = [*_settings(environ), *examine(site)]
    if as_json:
        click.echo(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    else:
        _show(findings, everything)
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        ctx.exit(SICK)


def _site(
    folder: str,
    env_file: str | None,
    url: str | None,
    ca: str | None,
    publishers: Iterable[str],
    relays: Iterable[str],
) -> tuple[Mapping[str, str], Site]:
    """What to look at. Raises ConfigError."""
    environ: dict[str, str] = dict(os.environ)
    pids: dict[str, int] = {}
    if (Path(folder) / "stack.json").exists() and env_file is None:
        stack = open_stack(folder)
        environ |= stack.settings()
        pids = {part.name: part.pid for part in stack.status() if part.pid}
        url, ca = url or stack.url, ca or (str(stack.own_certificate or "") or None)
        publishers = (*publishers, *stack.publisher_urls)
        relays = (*relays, *stack.relay_urls)
    elif env_file is not None:
        lines = dotenv_values(env_file, interpolate=False)
        environ = {name: value or "" for name, value in lines.items()} | environ
    settings = config.load(environ)
    site = Site(
        settings,
        values.load(settings.values),
        url,
        ca,
        tuple(address.rstrip("/") for address in publishers),
        tuple(address.rstrip("/") for address in relays),
        pids,
    )
    return environ, site


def _settings(environ: Mapping[str, str]) -> Iterator[Finding]:
    faults = faults_of(environ, PARTS)
    for fault in faults:
        yield fail("settings", fault, "the parts that need it don't start: docs/settings.md")
    for line in hints(config.find(environ).unknown, config.NAMES):
        yield warn("settings", line, "correct its name, or remove it")
    if not faults:
        yield ok("settings", "the settings and values.toml are right")


def examine(site: Site) -> list[Finding]:
    """Everything that there is to say, part by part; all parts are looked at at once."""
    with ThreadPoolExecutor(len(_CHECKS)) as pool:
        groups = pool.map(lambda check: list(_guarded(check[0], check[1](site))), _CHECKS)
        return [finding for group in groups for finding in group]


def _guarded(part: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Whatever else goes wrong while a part is looked at is a finding of its own."""
    try:
        yield from findings
    except (redis.RedisError, HoldfastError, OSError) as error:
        yield fail(part, f"can't be looked at: {error}", "start it, or correct the settings' URLs")


def _show(findings: Iterable[Finding], everything: bool) -> None:
    console = Console(soft_wrap=True, highlight=False)
    counts = dict.fromkeys(Verdict, 0)
    for finding in findings:
        counts[finding.verdict] += 1
        if finding.verdict is Verdict.OK and not everything:
            continue
        mark = _MARKS[finding.verdict]
        console.print(f"{mark} {escape(finding.part)}: {escape(finding.detail)}")
        if finding.advice:
            console.print(f"     [bold]->[/] {escape(finding.advice)}")
    words = {"ok": "well", "warn": "to look at", "fail": "broken", "skip": "not looked at"}
    console.print(", ".join(f"{n} {words[name]}" for name, n in counts.items() if n))
