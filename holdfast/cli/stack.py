"""`holdfast up`, `status`, `logs` and `down`: the stack on this machine."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.table import Table

from holdfast.errors import HoldfastError
from stack.certificate import Certificate
from stack.layout import POST_RATE, Sizes
from stack.render import HOLD_RATE
from stack.stack import Stack

dir_option = click.option(
    "--dir",
    "folder",
    default=".holdfast",
    show_default=True,
    help="Where the stack keeps its state, logs and sockets.",
)
_COUNT = click.IntRange(1, 8)
_PORT = click.IntRange(0, 65535)
_FILE = click.Path(dir_okay=False, path_type=Path)


def open_stack(folder: str) -> Stack:
    """The stack that `up` made in this folder."""
    return Stack(Path(folder))


@click.command()
@click.option("--port", default=8080, show_default=True, type=_PORT, help="nginx; 0 = a free one.")
@click.option(
    "--pushpin-port",
    default=7999,
    show_default=True,
    type=_PORT,
    help="The first Pushpin, without nginx in front; 0 = a free one.",
)
@dir_option
@click.option("--fresh", is_flag=True, help="Forget all updates: begin with empty state.")
@click.option("--detach", is_flag=True, help="Return once it is ready; end it with `down`.")
@click.option("--origins", default=1, show_default=True, type=_COUNT)
@click.option("--publishers", default=1, show_default=True, type=_COUNT)
@click.option("--varnishes", default=1, show_default=True, type=_COUNT)
@click.option("--pushpins", default=1, show_default=True, type=_COUNT, help="For streams.")
@click.option(
    "--websockets", default=1, show_default=True, type=_COUNT, help="Pushpins for WebSockets."
)
@click.option("--values", type=click.Path(exists=True, dir_okay=False), help="Another values.toml.")
@click.option(
    "--post-rate",
    default=POST_RATE,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="Updates per second that nginx takes from one address; more get 429.",
)
@click.option(
    "--hold-rate",
    default=HOLD_RATE,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="New streams, long-polls and WebSockets per second that it takes from one address.",
)
@click.option(
    "--tls", is_flag=True, help="HTTPS and HTTP/2 at nginx, with a certificate of its own."
)
@click.option("--tls-certificate", type=_FILE, help="One to show instead, PEM, with its chain.")
@click.option("--tls-key", type=_FILE, help="Its key, PEM, without a password.")
@click.option("--serverless", is_flag=True, help="The origin as an AWS Lambda function.")
@click.option(
    "--functions", default=2, show_default=True, type=_COUNT, help="Of it at once; --serverless."
)
@click.option("--simulate", "simulated", is_flag=True, help="Add some posters and viewers.")
def up(
    port: int,
    pushpin_port: int,
    folder: str,
    fresh: bool,
    detach: bool,
    origins: int,
    publishers: int,
    varnishes: int,
    pushpins: int,
    websockets: int,
    values: str | None,
    post_rate: int,
    hold_rate: int,
    tls: bool,
    tls_certificate: Path | None,
    tls_key: Path | None,
    serverless: bool,
    functions: int,
    simulated: bool,
) -> None:
    """Start every part on loopback and show the page's address."""
    console = Console(stderr=True, highlight=False)
    certificate = None
    if tls_certificate and tls_key:
        certificate = Certificate(tls_certificate.resolve(), tls_key.resolve())
    elif tls_certificate or tls_key:
        raise click.UsageError("--tls-certificate and --tls-key go together")
    stack = Stack(
        Path(folder),
        port=port,
        pushpin_port=pushpin_port,
        sizes=Sizes(
            0 if serverless else origins,
            publishers,
            varnishes,
            pushpins,
            websockets,
            functions=functions if serverless else 0,
        ),
        values=Path(values) if values else None,
        simulate=simulated,
        post_rate=post_rate,
        hold_rate=hold_rate,
        tls=tls or certificate is not None,
        certificate=certificate,
        say=console.print,
    )
    ending = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        if ending.is_set():
            return
        ending.set()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        stack.start(fresh=fresh, detach=detach)
        stack.wait_ready()
        click.echo(_welcome(stack))
        if detach:
            return
        _watch(stack, console)
    except KeyboardInterrupt:
        console.print("ending everything ...")
        _end(stack)
    except HoldfastError as error:
        _end(stack)
        # Without markup: a message may name a table, like [values.counter].
        console.print("holdfast up:", style="red", end=" ")
        console.print(str(error), markup=False)
        sys.exit(1)


def _end(stack: Stack) -> None:
    """End what this command started; another stack in the folder is not its business."""
    if stack.started:
        stack.down()


def _welcome(stack: Stack) -> str:
    trust, url = stack.own_certificate, stack.url
    curl = f"curl --cacert {shlex.quote(str(trust))}" if trust else "curl"
    lines = [
        "",
        f"Holdfast is ready: {url}/",
        "",
        f"  {curl} -N '{url}/values/counter?as=sse'",
        f"  {curl} {url}/values/counter -H 'Content-Type: application/json' -d '{{\"add\": 1}}'",
        f"  curl -N {stack.pushpin_url}/stream",
        "",
        f"Operators: {url}/console/ (or holdfast top, or {url}/api/values)",
        f"with the token {stack.operator_token}",
        "",
    ]
    if trust:
        lines += [
            f"Its certificate is its own. Let clients trust it, or browsers warn: {trust}",
            "",
        ]
    return "\n".join(lines)


def _watch(stack: Stack, console: Console) -> None:
    """Tell of parts that die, until supervisord ends."""
    told = sum(1 for _ in stack.events())
    while stack.poll() is None:
        threading.Event().wait(0.3)
        events = list(stack.events())
        for event in events[told:]:
            if event["state"] in ("exited", "backoff") and event["from"] != "stopping":
                console.print(f"[yellow]{event['part']} died and is started again.[/] Its end:")
                for line in stack.last_lines(event["part"], 5):
                    console.print(f"  | {line}", markup=False)
        told = len(events)
    failure = stack.failure()
    raise HoldfastError(failure or "supervisord ended; see logs/supervisord.out")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@dir_option
def status(as_json: bool, folder: str) -> None:
    """Show every part: its process, state, ports and restarts."""
    try:
        parts = open_stack(folder).status()
    except HoldfastError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps({"parts": [asdict(part) for part in parts]}))
        return
    table = Table("part", "pid", "state", "ports", "restarts", box=None)
    for part in parts:
        ports = "  ".join(f"{name} {number}" for name, number in part.ports.items())
        table.add_row(part.name, str(part.pid or ""), part.state, ports, str(part.restarts))
    Console().print(table)


@click.command()
@dir_option
def down(folder: str) -> None:
    """End everything that runs in the folder; its state stays."""
    stack = open_stack(folder)
    stack.down()


@click.command()
@click.argument("part")
@click.option("-f", "--follow", is_flag=True, help="Go on showing what comes.")
@dir_option
def logs(part: str, follow: bool, folder: str) -> None:
    """Show the log of PART."""
    file = Path(folder) / "logs" / f"{part}.log"
    if not file.exists():
        known = sorted(log.stem for log in file.parent.glob("*.log"))
        raise click.ClickException(f"no log of {part}; there are: {', '.join(known) or 'none'}")
    if follow:
        sys.exit(subprocess.call(["tail", "-n", "+1", "-F", str(file)]))
    click.echo(file.read_text(errors="replace"), nl=False)


commands = (up, status, down, logs)
