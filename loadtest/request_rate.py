"""Requests per second, as ratios inside one run.

    .venv/bin/python -m loadtest.request_rate

Snapshots through nginx beside the origin's own, and acknowledged updates beside the same server's
trivial route. Starts a stack of its own; each figure is the median of some rounds, taken in turn.
"""

from __future__ import annotations

import select
import socket
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.table import Table

from stack.load import cpu, machine
from stack.load.answer import Answer
from stack.stack import Stack
from stack.temporary import temporary_stack

VALUE = "counter"
UPDATE = b'{"add":1}'


@dataclass(frozen=True, slots=True)
class Kind:
    """One row: a request, at one server. per: the row that its rate is compared with."""

    name: str
    url: str
    status: int
    body: bytes | None = None
    per: str = ""

    def encode(self) -> tuple[tuple[str, int], bytes]:
        """The address and the request."""
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or 80
        head = f"{'POST' if self.body else 'GET'} {parts.path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        if self.body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n"
        return (host, port), head.encode() + b"\r\n" + (self.body or b"")


@dataclass
class Taken:
    """seconds: of each answer. cores: by part, and of this client."""

    rate: float = 0.0
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    cores: dict[str, float] = field(default_factory=dict)


def take(kind: Kind, connections: int, seconds: float) -> Taken:
    """Keep `connections` busy, each with one request at a time, for `seconds`."""
    address, request = kind.encode()
    taken = Taken()
    epoll = select.epoll()
    opened: dict[int, tuple[socket.socket, Answer, float]] = {}

    def connect() -> None:
        own = socket.create_connection(address, timeout=10)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        own.sendall(request)
        opened[own.fileno()] = (own, Answer(), time.perf_counter())
        epoll.register(own.fileno(), select.EPOLLIN)

    for _ in range(connections):
        connect()
    began = time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        for number, _ in epoll.poll(0.1):
            own, answer, sent = opened[number]
            try:
                data = own.recv(65_536)
            except ConnectionResetError:
                data = b""
            if not data:  # nginx closes after 1,000 requests
                del opened[number]
                own.close()
                connect()
                continue
            answer.feed(data)
            if not answer.ended:
                continue
            now = time.perf_counter()
            taken.seconds.append(now - sent)
            taken.statuses[answer.status] += 1
            try:
                own.send(request)
            except BrokenPipeError:
                continue  # closed: the next turn sees it
            opened[number] = (own, Answer(), now)
    taken.rate = len(taken.seconds) / (now - began)
    for own, _, _ in opened.values():
        own.close()
    wrong = {status: count for status, count in taken.statuses.items() if status != kind.status}
    if wrong:
        raise click.ClickException(f"{kind.name}: answered {wrong}, not {kind.status}")
    return taken


def kinds(stack: Stack) -> list[Kind]:
    """Every row of the table."""
    origin = stack.origin_urls[0]
    return [
        Kind("trivial route, origin", f"{origin}/health/live", 200),
        Kind("snapshot, origin", f"{origin}/values/{VALUE}", 200, per="trivial route, origin"),
        Kind("snapshot, nginx", f"{stack.url}/values/{VALUE}", 200, per="snapshot, origin"),
        Kind("update, origin", f"{origin}/values/{VALUE}", 202, UPDATE, "trivial route, origin"),
        Kind("update, nginx", f"{stack.url}/values/{VALUE}", 202, UPDATE, "trivial route, origin"),
    ]


@click.command()
@click.option("--connections", default=32, show_default=True, type=click.IntRange(1, 2000))
@click.option("--seconds", default=3.0, show_default=True, help="Of each figure.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1, 100))
@click.option("--only", multiple=True, help="Rows whose names hold this.")
def main(connections: int, seconds: float, rounds: int, only: Sequence[str]) -> None:
    """Measure requests per second at nginx and at the origin."""
    results: dict[str, list[Taken]] = {}
    with temporary_stack(post_rate=1_000_000) as stack:
        rows = [row for row in kinds(stack) if not only or any(word in row.name for word in only)]
        for _ in range(rounds):
            for row in rows:
                take(row, connections, seconds / 5)
                before, used, began = cpu.of_stack(stack), time.process_time(), time.perf_counter()
                taken = take(row, connections, seconds)
                took = time.perf_counter() - began
                taken.cores = cpu.shares(before, cpu.of_stack(stack), took)
                taken.cores["client"] = (time.process_time() - used) / took
                results.setdefault(row.name, []).append(taken)
    out = Console(highlight=False)
    out.print(machine.facts())
    table = Table("request", "per s", "ratio", "to", "p50, ms", "p99, ms", "cores", box=None)
    rates = {name: statistics.median(t.rate for t in taken) for name, taken in results.items()}
    for row in rows:
        taken_ms = sorted(1000 * each for taken in results[row.name] for each in taken.seconds)
        cores = results[row.name][-1].cores
        table.add_row(
            row.name,
            f"{rates[row.name]:,.0f}",
            f"{rates[row.name] / rates[row.per]:.2f}" if row.per in rates else "",
            row.per,
            f"{taken_ms[len(taken_ms) // 2]:.1f}",
            f"{taken_ms[len(taken_ms) * 99 // 100]:.1f}",
            ", ".join(f"{part} {share:.2f}" for part, share in cores.items() if share >= 0.01),
        )
    out.print(table)


if __name__ == "__main__":
    main()
