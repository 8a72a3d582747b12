"""From a POST to the event on a viewer's screen, with the value's rate lifted.

    .venv/bin/python -m loadtest.latency

One update at a time through nginx, a pause in between; the viewer's stream comes through nginx too.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import socket
import time
from urllib.parse import urlsplit

import click
from rich.console import Console

from stack.load import machine
from stack.load.answer import Answer
from stack.sweep.step import VALUE, set_rate
from stack.temporary import temporary_stack

_SHOWN = re.compile(rb'"value":(-?\d+)')
HEADERS = {"Content-Type": "application/json"}


class _Screen:
    """One event stream; blocks until a value is shown. A client library would add a millisecond."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=15)
        self._socket.sendall(
            f"GET /values/{VALUE}?as=sse HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        )
        self._answer = Answer()
        self._rest = b""
        self.value = self._next()

    def wait_for(self, value: int) -> None:
        while self.value < value:
            self.value = self._next()

    def _next(self) -> int:
        while b"\n\n" not in self._rest:
            data = self._socket.recv(65_536)
            if not data:
                raise click.ClickException("the stream ended")
            self._rest += self._answer.feed(data)
        event, _, self._rest = self._rest.partition(b"\n\n")
        found = _SHOWN.search(event)
        return self._next() if found is None else int(found[1])


@click.command()
@click.option("--posts", default=500, show_default=True, type=click.IntRange(10))
@click.option("--pause", default=0.02, show_default=True, help="On average, s.")
def main(posts: int, pause: float) -> None:
    """Measure the way of single updates."""
    acknowledged, shown = [], []
    with temporary_stack() as stack:
        set_rate(stack, float("inf"))
        parts = urlsplit(stack.url)
        address = parts.hostname or "", parts.port or 80
        screen, poster = _Screen(address), http.client.HTTPConnection(*address)
        start, body = screen.value, json.dumps({"add": 1})
        for number in range(1, posts + 1):
            time.sleep(random.uniform(0, 2 * pause))
            sent = time.perf_counter()
            poster.request("POST", f"/values/{VALUE}", body, HEADERS)
            answer = poster.getresponse()
            answer.read()
            if answer.status != 202:
                raise click.ClickException(f"a POST was answered {answer.status}")
            acknowledged.append(time.perf_counter() - sent)
            screen.wait_for(start + number)
            shown.append(time.perf_counter() - sent)
    out = Console(highlight=False)
    out.print(machine.facts())
    for name, seconds in (("acknowledged", acknowledged), ("on the screen", shown)):
        ordered = sorted(seconds)
        p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
        out.print(f"{name}: p50 {1000 * p50:.1f} ms, p99 {1000 * p99:.1f} ms of {posts} posts")


if __name__ == "__main__":
    main()
