"""Long-polls by many at once: how old their releases get, what fails, and what the origin does.

    .venv/bin/python -m loadtest.polls

Every client asks for what is newer than it knows, and again as soon as it is answered.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.table import Table

from stack.load import machine
from stack.load.updates import Updates
from stack.stack import Stack
from stack.sweep.counts import count
from stack.temporary import temporary_stack

NAME = "counter"
UPDATES = 5.0  # per second: enough for a release in each
WAIT_S = 25


@dataclass(slots=True)
class Polled:
    """What all clients got. ages: s from a release to its client; others: answers without one."""

    ages: list[float] = field(default_factory=list)
    others: Counter[int] = field(default_factory=Counter)
    went_back: int = 0

    def age(self, share: float) -> float:
        ages = sorted(self.ages)
        return ages[min(len(ages) - 1, int(share * len(ages)))]


@click.command()
@click.option("--polls", "sizes", multiple=True, type=int, default=(300, 2_000), show_default=True)
@click.option("--seconds", default=12.0, show_default=True)
def main(sizes: tuple[int, ...], seconds: float) -> None:
    """Measure long-polls through the whole chain, at one release a second."""
    table = Table(
        *("polls", "answers/s", "age p50, s", "age p99, s", "204", "failed", "went back"),
        *("origin requests", "releases"),
        box=None,
    )
    for size in sizes:
        with temporary_stack() as stack, Updates(stack.kafka, NAME, UPDATES):
            before = count(stack)
            polled = asyncio.run(_poll(stack, size, seconds))
            after = count(stack)
        failed = sum(number for status, number in polled.others.items() if status != 204)
        table.add_row(
            *(f"{size:,}", f"{len(polled.ages) / seconds:,.0f}"),
            *(f"{polled.age(0.5):.2f}", f"{polled.age(0.99):.2f}"),
            *(f"{polled.others[204]}", f"{failed}", f"{polled.went_back}"),
            *(f"{after.origin - before.origin:.0f}", f"{after.releases - before.releases:.0f}"),
        )
    out = Console(highlight=False)
    out.print(machine.facts())
    out.print(table)


async def _poll(stack: Stack, size: int, seconds: float) -> Polled:
    polled = Polled()
    until = time.monotonic() + seconds
    await asyncio.gather(*(_client(stack.url, polled, until) for _ in range(size)))
    return polled


async def _client(url: str, polled: Polled, until: float) -> None:
    """Raw sockets: a client library would be what is measured."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    version = None
    while time.monotonic() < until:
        after = "" if version is None else f"&after={version}"
        path = f"/values/{NAME}?wait={WAIT_S}{after}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {at.netloc}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        body = await reader.readexactly(_length(head))
        if status != 200:
            polled.others[status] += 1
            continue
        snapshot = json.loads(body)
        if version is not None:  # the first one may be old
            polled.went_back += snapshot["version"] <= version
            polled.ages.append(time.time() - snapshot["version"] / 1000)
        version = snapshot["version"]
    writer.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0


if __name__ == "__main__":
    main()
