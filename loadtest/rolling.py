"""A rehearsal of a rolling restart of all Pushpins, with viewers who come back as the page does.

    .venv/bin/python -m loadtest.rolling

Each Pushpin is restarted, and the next one only once nobody is owed anything and every viewer is
back. Exit status 1 if a viewer ends with another value than the final one, or went back.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import click
import requests
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from holdfast.errors import HoldfastError
from stack.layout import Sizes
from stack.load import machine
from stack.load.updates import Updates
from stack.stack import Stack
from stack.temporary import temporary_stack

VALUES = '[values.counter]\nreduce = "sum"\ndefault = true\n'
PATIENCE_S = 120.0
SILENCE_S = 45.0  # a client that hears nothing for so long connects again


@dataclass(slots=True)
class Screen:
    """What one viewer saw. silences: between releases, s."""

    version: int = 0
    value: int = 0
    heard_at: float = 0.0
    connected: bool = False
    connects: int = 0
    refused: int = 0
    went_back: int = 0
    silences: list[float] = field(default_factory=list)


async def view(url: str, screen: Screen, jitter_s: float) -> None:
    """Hold the stream; whatever ends it, wait with full jitter and come back with the last id."""
    parts = urlsplit(url)
    while True:
        try:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        except OSError:
            screen.refused += 1
        else:
            try:
                await _hold(reader, writer, parts.netloc, screen)
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                pass  # it comes back all the same
            finally:
                screen.connected = False
                writer.close()
        await asyncio.sleep(random.uniform(0, jitter_s))


async def _hold(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, screen: Screen
) -> None:
    seen = f"Last-Event-ID: {screen.version}\r\n" if screen.version else ""
    writer.write(f"GET /values/counter?as=sse HTTP/1.1\r\nHost: {host}\r\n{seen}\r\n".encode())
    if b" 200 " not in await asyncio.wait_for(reader.readline(), SILENCE_S):
        screen.refused += 1
        return
    screen.connects += 1
    screen.connected = True
    while line := await asyncio.wait_for(reader.readline(), SILENCE_S):
        if line.startswith(b"data: {"):
            _show(screen, json.loads(line[6:]))


def _show(screen: Screen, snapshot: dict[str, int]) -> None:
    now = time.monotonic()
    screen.went_back += snapshot["version"] < screen.version
    if screen.heard_at and snapshot["version"] != screen.version:
        screen.silences.append(now - screen.heard_at)
    screen.version, screen.value, screen.heard_at = snapshot["version"], snapshot["value"], now


def _until(condition: Callable[[], bool], what: str) -> float:
    """How long it took, s. HoldfastError when it took too long."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > PATIENCE_S:
            raise HoldfastError(f"not within {PATIENCE_S:g} s: {what}")
        time.sleep(0.1)
    return time.monotonic() - began


def _owed(stack: Stack) -> float:
    total = 0.0
    for url in (*stack.publisher_urls, *stack.relay_urls):
        text = requests.get(f"{url}/metrics", timeout=10).text
        for family in text_string_to_metric_families(text):
            if family.name == "holdfast_node_owed":
                total += sum(sample.value for sample in family.samples)
    return total


@click.command()
@click.option("--viewers", default=1_000, show_default=True, type=click.IntRange(1))
@click.option("--pushpins", default=3, show_default=True, type=click.IntRange(2))
@click.option("--jitter", "jitter_s", default=15.0, show_default=True, help="Of who comes back, s.")
@click.option("--updates", default=20.0, show_default=True, help="Per second.")
def main(viewers: int, pushpins: int, jitter_s: float, updates: float) -> None:
    """Restart one Pushpin after the other under viewers and updates."""
    out = Console(highlight=False)
    out.print(machine.facts())
    screens = [Screen() for _ in range(viewers)]
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    with temporary_stack(VALUES, sizes=Sizes(pushpins=pushpins)) as stack:
        for screen in screens:
            asyncio.run_coroutine_threadsafe(view(stack.url, screen, jitter_s), loop)
        took = _until(lambda: all(screen.heard_at for screen in screens), "every viewer")
        out.print(f"{viewers} viewers hold a stream after {took:.1f} s")
        with Updates(stack.kafka, "counter", updates) as sent:
            for name in stack.parts_of("pushpin"):
                before = [screen.connects for screen in screens]
                began = time.monotonic()
                stack.restart(name)
                _until(lambda: not _owed(stack), "what is owed")
                _until(
                    lambda: all(s.connected and time.monotonic() - s.heard_at < 3 for s in screens),
                    "every viewer",
                )
                moved = sum(s.connects > was for s, was in zip(screens, before, strict=True))
                out.print(
                    f"{name}: {moved} viewers came back, all after {time.monotonic() - began:.1f} s"
                )
        final = len(sent.acknowledged)
        _until(lambda: all(screen.value == final for screen in screens), "the final value")
    silences = sorted(max(screen.silences, default=0.0) for screen in screens)
    connects = sum(screen.connects for screen in screens) / viewers
    back = sum(screen.went_back for screen in screens)
    refused = sum(screen.refused for screen in screens)
    out.print(
        f"{final} updates; every viewer shows {final}; {back} went back; "
        f"{connects:.2f} connects each, {refused} refused; "
        f"longest silence p50 {silences[viewers // 2]:.1f} s, at most {silences[-1]:.1f} s"
    )
    if back:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
