"""Many WebSockets, each message of which a Lambda function echoes: is each answered, and in order?

    .venv/bin/python -m loadtest.echo --clients 200 --messages 10

Starts Pushpin, an edge node and AWS's Lambda emulators for it (`scripts/setup --serverless`).
`--serve` leaves them open for other clients, until Ctrl-C.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import click
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from holdfast.errors import HoldfastError
from loadtest.function_rig import FunctionRig
from stack.load import machine

ECHO = "examples.lambda_echo.echo.handler"
PATIENCE_S = 60.0


@dataclass(slots=True)
class Echoes:
    """answered: messages that came back where they were expected. strays: that came elsewhere.

    failures: how connections ended that did not get all. waits_s: per message, sent to echoed.
    """

    answered: int = 0
    strays: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    waits_s: list[float] = field(default_factory=list)
    took_s: float = 0.0


async def play(url: str, clients: int, messages: int, *, at_once: bool) -> Echoes:
    """All connect, then all send. at_once: a client doesn't wait for an echo to send the next."""
    echoes = Echoes()
    connected = asyncio.Barrier(clients)
    began = time.monotonic()
    await asyncio.gather(
        *(_client(url, number, messages, at_once, connected, echoes) for number in range(clients))
    )
    echoes.took_s = time.monotonic() - began
    return echoes


async def _client(
    url: str, number: int, messages: int, at_once: bool, connected: asyncio.Barrier, echoes: Echoes
) -> None:
    said = [_message(number, count) for count in range(messages)]
    try:
        # Without pings of its own: each would be an invocation.
        async with (
            asyncio.timeout(PATIENCE_S),
            connect(url, ping_interval=None, proxy=None, open_timeout=PATIENCE_S) as socket,
        ):
            await connected.wait()
            for batch in [said] if at_once else [[message] for message in said]:
                began = time.monotonic()
                for message in batch:
                    await socket.send(message)
                for message in batch:
                    if await socket.recv() == message:
                        echoes.answered += 1
                        echoes.waits_s.append(time.monotonic() - began)
                    else:
                        echoes.strays += 1
    except (WebSocketException, OSError, TimeoutError) as error:
        echoes.failures[f"{type(error).__name__}: {error}"] += 1
        await connected.abort()
    except asyncio.BrokenBarrierError:
        echoes.failures["another did not connect"] += 1


def _message(number: int, count: int) -> str | bytes:
    """Text and bytes that are none, in turn; no two are the same."""
    text = f"{number}/{count} \u2028 c:{{}}"
    return text if count % 2 == 0 else b"\xff\r\n\0" + text.encode()


@click.command()
@click.option("--clients", default=200, show_default=True, type=click.IntRange(1, 2_000))
@click.option("--messages", default=10, show_default=True, type=click.IntRange(1, 1_000))
@click.option("--functions", default=2, show_default=True, type=click.IntRange(1, 8))
@click.option("--at-once", is_flag=True, help="Send all messages before the first is echoed.")
@click.option("--handler", default=ECHO, show_default=True, help="With --serve: any function.")
@click.option("--serve", is_flag=True, help="Wait for other clients, until Ctrl-C.")
def main(
    clients: int, messages: int, functions: int, at_once: bool, handler: str, serve: bool
) -> None:
    """Echo messages of many WebSockets through a function; exits with 1 if one is missing."""
    try:
        with FunctionRig(handler, functions) as rig:
            if serve:
                click.echo(f"{handler} answers at {rig.url}")
                threading.Event().wait()
            echoes = asyncio.run(play(rig.url, clients, messages, at_once=at_once))
            invocations = rig.invocations()
    except HoldfastError as error:
        raise click.ClickException(str(error)) from error
    click.echo(machine.facts())
    _tell(echoes, clients, messages, invocations)
    if echoes.failures or echoes.strays or echoes.answered != clients * messages:
        raise SystemExit(1)


def _tell(echoes: Echoes, clients: int, messages: int, invocations: dict[str, int]) -> None:
    sent = clients * messages
    total = sum(invocations.values())
    click.echo(
        f"{clients} WebSockets, {sent} messages: {echoes.answered} echoed, {echoes.strays} out of "
        f"order, in {echoes.took_s:.1f} s"
    )
    click.echo(f"invocations {total} ({total / sent:.2f} a message): {invocations}")
    click.echo(f"wait {_quantiles(echoes.waits_s)}")
    for failure, count in echoes.failures.most_common():
        click.echo(f"{count} x {failure}")


def _quantiles(waits_s: Sequence[float]) -> str:
    if len(waits_s) < 2:
        return "unknown"
    cuts = statistics.quantiles(waits_s, n=100)
    return f"p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms"


if __name__ == "__main__":
    main()
