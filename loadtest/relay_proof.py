"""A million records to viewers that drop and come back, while relays and Pushpins are killed.

    .venv/bin/python -m loadtest.relay_proof

A stack of its own: two relays, two Pushpins. In the end every viewer's events are held against the
topic itself, read once more from Kafka: complete from where the viewer began, in order, once.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence

import click
import redis
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console
from rich.table import Table

from loadtest.relay_stack import VALUES, create, make_producer, put
from loadtest.relay_viewer import Viewer
from stack.layout import Sizes
from stack.stack import Stack
from stack.temporary import temporary_stack

TOPIC, PARTITIONS = "shown.proof", 4
STEP_S = 0.2
SETTLE_S = 90.0
console = Console(stderr=True, highlight=False)


def produce(stack: Stack, records: int, rate: float) -> list[int]:
    """Records that say where they stand; how many went to each partition."""
    producer, counts, rng = make_producer(stack), [0] * PARTITIONS, random.Random(1)
    started = time.monotonic()
    for number in range(records):
        partition = rng.randrange(PARTITIONS)
        put(producer, TOPIC, partition, b"%d %d %060d" % (partition, counts[partition], number))
        counts[partition] += 1
        if number % 200 == 0:
            producer.poll(0)
            ahead = number / rate - (time.monotonic() - started)
            if ahead > 0:
                time.sleep(ahead)
    if producer.flush(60):
        raise click.ClickException("Kafka did not take every record")
    return counts


async def disturb(stack: Stack, viewers: Sequence[Viewer], done: asyncio.Event, drop: float) -> int:
    """Drops at random, and a fault every 6 s; how many faults there were."""
    rng, faults, last = random.Random(2), 0, time.monotonic()
    plan = (
        "kill relay-1",
        "stop relay-2",
        "kill relay-2",
        "kill pushpin-1",
        "wipe",
        "kill pushpin-2",
    )
    while not done.is_set():
        await asyncio.sleep(STEP_S)
        for viewer in viewers:
            if rng.random() < drop * STEP_S:
                viewer.drop()
        if time.monotonic() - last > 6:
            fault = plan[faults % len(plan)]
            console.print(fault)
            await asyncio.to_thread(_happen, stack, fault)
            faults, last = faults + 1, time.monotonic()
    return faults


def _happen(stack: Stack, fault: str) -> None:
    word, _, part = fault.partition(" ")
    if word == "kill":
        os.kill(stack.pid(part), signal.SIGKILL)
    elif word == "stop":
        stack.stop_part(part)
        time.sleep(4)
        stack.start_part(part)
    else:
        with redis.Redis.from_url(stack.redis_url) as client:
            client.flushall()


def check_kafka(stack: Stack, counts: Sequence[int]) -> list[str]:
    """What Kafka itself has, record by record."""
    consumer = Consumer(
        {
            "bootstrap.servers": stack.kafka,
            "group.id": "proof",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
        }
    )
    consumer.assign([TopicPartition(TOPIC, number, 0) for number in range(PARTITIONS)])
    expected = [0] * PARTITIONS
    faults: list[str] = []
    while expected != list(counts):
        messages = consumer.consume(5_000, 10.0)
        if not messages:
            return [*faults, f"Kafka has {expected}, {list(counts)} were written"]
        for message in messages:
            partition, offset = (int(word) for word in (message.value() or b"").split()[:2])
            if (partition, offset) != (message.partition(), message.offset()):
                faults.append(f"Kafka has {message.value()!r} at {message.offset()}")
            expected[partition] = offset + 1
    consumer.close()
    return faults


async def run(stack: Stack, records: int, rate: float, count: int, drop: float) -> bool:
    create(stack, TOPIC, PARTITIONS)
    url = f"{stack.url}/events/{TOPIC}/"
    viewers = [Viewer(url, "?from=earliest" if n % 2 else "") for n in range(count)]
    starts: dict[int, int] = {}
    for viewer in viewers[: count // 2]:
        viewer.start()
    done, began = asyncio.Event(), time.monotonic()
    disturbing = asyncio.create_task(disturb(stack, viewers, done, drop))
    producing = asyncio.create_task(asyncio.to_thread(produce, stack, records, rate))
    for viewer in viewers[count // 2 :]:
        await asyncio.sleep(records / rate / count)
        viewer.start()
    counts = await producing
    done.set()
    faults = await disturbing
    produced_s = time.monotonic() - began
    wanted = dict(enumerate(counts))
    while any(viewer.expected != wanted for viewer in viewers):
        if time.monotonic() - began - produced_s > SETTLE_S:
            break
        await asyncio.sleep(0.1)
    settled_s = time.monotonic() - began - produced_s
    for viewer in viewers:
        await viewer.stop()
    violations = await asyncio.to_thread(check_kafka, stack, counts)
    for number, viewer in enumerate(viewers):
        violations += [f"viewer {number}: {each}" for each in viewer.violations[:3]]
        if viewer.expected != wanted:
            violations.append(f"viewer {number} ended at {viewer.expected} of {wanted}")
        starts[number] = records - viewer.events
    table = Table(box=None)
    for column in ("viewer", "events", "before it began", "connections", "refused", "resets"):
        table.add_column(column)
    for number, viewer in enumerate(viewers):
        table.add_row(
            str(number),
            f"{viewer.events:,}",
            f"{starts[number]:,}",
            str(viewer.connected),
            str(viewer.refused),
            "; ".join(viewer.resets) or "0",
        )
    Console().print(table)
    print(
        f"{records:,} records in {produced_s:.0f} s, {faults} faults; all viewers at the end after "
        f"{settled_s:.1f} s more; {len(violations)} violations"
    )
    for violation in violations:
        print(f"  {violation}")
    return not violations


@click.command()
@click.option("--records", default=1_000_000, show_default=True, type=click.IntRange(1_000))
@click.option("--rate", default=8_000.0, show_default=True, help="Records per second.")
@click.option("--viewers", default=4, show_default=True, type=click.IntRange(2))
@click.option("--drop", default=0.2, show_default=True, help="Drops per viewer and second.")
def main(records: int, rate: float, viewers: int, drop: float) -> None:
    """Exit code 1 when anything was lost, doubled or out of order."""
    with temporary_stack(VALUES, sizes=Sizes(publishers=2, pushpins=2)) as stack:
        good = asyncio.run(run(stack, records, rate, viewers, drop))
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
