"""From a POST to the event on a viewer's screen, with the value's rate lifted.

    .venv/bin/python -m loadtest.latency

One update at a time through nginx, a pause in between; the viewer's stream comes through nginx too.
"""

from __future__ import annotations

import json
import random
import time

import click
import httpx
from httpx_sse import connect_sse
from rich.console import Console

from loadtest.request_rate import own_stack
from stack.load import machine
from stack.sweep.step import VALUE, set_rate


@click.command()
@click.option("--posts", default=500, show_default=True, type=click.IntRange(10))
@click.option("--pause", default=0.02, show_default=True, help="On average, s.")
def main(posts: int, pause: float) -> None:
    """Measure the way of single updates."""
    with own_stack() as stack, httpx.Client(base_url=stack.url, timeout=15, trust_env=False) as web:
        set_rate(stack, float("inf"))
        acknowledged, shown = [], []
        path = f"/values/{VALUE}"
        with connect_sse(web, "GET", path, params={"as": "sse"}) as source:
            events = source.iter_sse()
            start = json.loads(next(events).data)["value"]
            for number in range(1, posts + 1):
                time.sleep(random.uniform(0, 2 * pause))
                sent = time.perf_counter()
                web.post(path, json={"add": 1}).raise_for_status()
                acknowledged.append(time.perf_counter() - sent)
                for event in events:
                    if event.data and json.loads(event.data)["value"] == start + number:
                        break
                else:
                    raise click.ClickException("the stream ended")
                shown.append(time.perf_counter() - sent)
    out = Console(highlight=False)
    out.print(machine.facts())
    for name, seconds in (("acknowledged", acknowledged), ("on the screen", shown)):
        ordered = sorted(seconds)
        p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
        out.print(f"{name}: p50 {1000 * p50:.1f} ms, p99 {1000 * p99:.1f} ms of {posts} posts")


if __name__ == "__main__":
    main()
