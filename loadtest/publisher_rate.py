"""How fast the publisher folds and applies a topic, beside one HTTP publish per record.

    .venv/bin/python -m loadtest.publisher_rate

A real topic, a real broker, the publisher's own process; then, on the same machine in the same run,
what a relay does that publishes record by record (as fanout/kafka-sse-example does): consume, and
one POST to Pushpin's /publish/ for each.
"""

from __future__ import annotations

import time

import click
import redis
import requests
from confluent_kafka import Consumer, Producer
from rich.console import Console
from rich.table import Table

from holdfast.formats import sse_event
from holdfast.values import HOME_TOPIC
from publisher.kafka import PARTITIONS
from stack.load import cpu, machine
from stack.stack import Stack
from stack.temporary import temporary_stack

VALUES = '[values.counter]\nreduce="sum"\ndefault=true\n[values."sum.*"]\nreduce="sum"\n'
PATIENCE_S = 120.0


@click.command()
@click.option("--records", default=1_000_000, show_default=True, type=click.IntRange(1_000))
@click.option("--one-by-one", default=3_000, show_default=True, type=click.IntRange(100))
@click.option("--values", "sizes", multiple=True, default=(1, 100, 10_000), show_default=True)
def main(records: int, one_by_one: int, sizes: tuple[int, ...]) -> None:
    """Measure records per second from Kafka to Redis, and from Kafka to Pushpin one by one."""
    table = Table("values", "folded and applied, /s", "one publish each, /s", "ratio", "cores")
    table.box = None
    console = Console(stderr=True, highlight=False)
    for size in sizes:
        with temporary_stack(VALUES) as stack:
            console.print(f"{size} values: writing {records:,} records")
            stack.stop_part("publisher-1")
            _write(stack, size, records)
            rate, cores = _fold(stack, size, records)
            each = _publish_each(stack, one_by_one)
            words = ", ".join(
                f"{part} {share:.2f}" for part, share in cores.items() if share > 0.01
            )
            table.add_row(f"{size:,}", f"{rate:,.0f}", f"{each:,.0f}", f"{rate / each:.0f}", words)
    out = Console(highlight=False)
    out.print(machine.facts())
    out.print(table)


def _names(size: int) -> list[str]:
    return [f"sum.{number}" for number in range(size)]


def _write(stack: Stack, size: int, records: int) -> None:
    producer = Producer(
        {
            "bootstrap.servers": stack.kafka,
            "enable.idempotence": True,
            "linger.ms": 20,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    names = _names(size)
    for number in range(records):
        while True:
            try:
                producer.produce(HOME_TOPIC, b'{"add":1}', names[number % size])
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
    if producer.flush(60):
        raise click.ClickException("Kafka did not take the records")


def _fold(stack: Stack, size: int, records: int) -> tuple[float, dict[str, float]]:
    """From the first record that Redis knows to the last; cores by part meanwhile.

    Nothing is released before a publisher has read all that was there when it came: this is
    folding and applying alone.
    """
    with redis.Redis.from_url(stack.redis_url) as client:
        keys = [f"offset:{HOME_TOPIC}:{partition}" for partition in range(PARTITIONS)]

        def applied() -> int:
            return sum(int(offset or 0) for offset in client.mget(keys))

        start = applied()
        stack.start_part("publisher-1")
        deadline = time.monotonic() + PATIENCE_S
        first: tuple[float, int, dict[str, float]] | None = None
        while (count := applied()) < start + records:
            if first is None and count > start:
                first = (time.perf_counter(), count, cpu.of_stack(stack))
            if time.monotonic() > deadline:
                raise click.ClickException(f"only {count - start:,} records after {PATIENCE_S:g} s")
            time.sleep(0.005)
        ended = time.perf_counter()
        if first is None:
            raise click.ClickException("all was applied at once: use more records")
        total = sum(int(client.hget(f"value:{name}", "value") or 0) for name in _names(size))
        if total != records:
            raise click.ClickException(f"{total:,} counted of {records:,}")
        began, before, used = first
        took = ended - began
        return (start + records - before) / took, cpu.shares(used, cpu.of_stack(stack), took)


def _publish_each(stack: Stack, records: int) -> float:
    """Records per second of a relay without batches: consume one, publish one."""
    consumer = Consumer(
        {
            "bootstrap.servers": stack.kafka,
            "group.id": "one-by-one",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([HOME_TOPIC])
    session = requests.Session()
    session.trust_env = False
    url = f"{stack.settings()['HOLDFAST_GRIP_URL'].split(',')[0]}/publish/"
    count, began = 0, 0.0
    deadline = time.monotonic() + PATIENCE_S
    while count < records:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            began = began or time.perf_counter()
            value = message.value() or b""
            content = sse_event(value).decode()
            item = {"channel": "one-by-one", "formats": {"http-stream": {"content": content}}}
            session.post(url, json={"items": [item]}, timeout=5).raise_for_status()
            count += 1
        elif time.monotonic() > deadline:
            raise click.ClickException(f"only {count} of {records} records came")
    took = time.perf_counter() - began
    consumer.close()
    return count / took


if __name__ == "__main__":
    main()
