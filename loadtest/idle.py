"""What values cost that nobody changes: the publisher's CPU beside few and beside many of them.

    .venv/bin/python -m loadtest.idle

For each number of values: all are released once, then nothing changes for a while (with the
confirms of that time), then one value takes updates.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import click
import redis
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from holdfast.values import HOME_TOPIC
from loadtest.publisher_rate import VALUES
from publisher.kafka import PARTITIONS
from stack.load import cpu, machine
from stack.load.updates import Updates
from stack.stack import Stack
from stack.temporary import temporary_stack

PATIENCE_S = 90.0
UPDATES = 20.0  # per second, of the one value that changes


@click.command()
@click.option("--values", "sizes", multiple=True, type=int, default=(10, 10_000), show_default=True)
@click.option("--after", default=25.0, show_default=True, help="The first confirms are over, s.")
@click.option("--seconds", default=60.0, show_default=True, help="Of idling; half of it changing.")
def main(sizes: Sequence[int], after: float, seconds: float) -> None:
    """Measure the publisher beside idle values."""
    table = Table("values", "idle: publisher", "Redis", "one changes: publisher", "Redis", box=None)
    for size in sizes:
        with temporary_stack(VALUES) as stack:
            _release_each(stack, size)
            time.sleep(after)
            idle = _shares(stack, seconds)
            with Updates(stack.kafka, "counter", UPDATES):
                busy = _shares(stack, seconds / 2)
            table.add_row(
                f"{size:,}",
                *(f"{100 * each[part]:.2f} %" for each in (idle, busy) for part in _PARTS),
            )
    out = Console(highlight=False)
    out.print(machine.facts())
    out.print(table)


_PARTS = ("publisher-1", "redis")


def _shares(stack: Stack, seconds: float) -> dict[str, float]:
    """Of a core, by part."""
    before, began = cpu.of_stack(stack), time.perf_counter()
    time.sleep(seconds)
    return cpu.shares(before, cpu.of_stack(stack), time.perf_counter() - began)


def _release_each(stack: Stack, size: int) -> None:
    producer = Producer({"bootstrap.servers": stack.kafka, "partitioner": "murmur2_random"})
    for number in range(size):
        producer.produce(HOME_TOPIC, b'{"add":1}', f"sum.{number}")
    producer.flush(30)
    dirty = [f"dirty:{HOME_TOPIC}:{partition}" for partition in range(PARTITIONS)]
    released = [f"released:{HOME_TOPIC}:{partition}" for partition in range(PARTITIONS)]
    deadline = time.monotonic() + PATIENCE_S
    with redis.Redis.from_url(stack.redis_url) as client:
        while sum(map(client.zcard, released)) < size or sum(map(client.scard, dirty)):
            if time.monotonic() > deadline:
                raise click.ClickException(f"{size} values were not released in {PATIENCE_S:g} s")
            time.sleep(0.2)


if __name__ == "__main__":
    main()
