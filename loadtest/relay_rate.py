"""How fast topics are relayed, against one publish per record, in one run; and how late.

    .venv/bin/python -m loadtest.relay_rate

A stack of its own. Each rate is that of a backlog: viewers hold, then the relay is started, and the
time runs from the first event at any viewer to the last event at the last viewer. "per record" is a
relay as they are commonly written: for each Kafka record one POST with one item to Pushpin. The
viewers are another process, which counts events and looks at nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import statistics
import time
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import click
import httpx
import msgspec
import redis
import requests
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console
from rich.table import Table

from holdfast.formats import relay_item
from holdfast.relay_state import RelayState
from holdfast.state import connect
from loadtest.relay_stack import VALUES, create, make_producer, put
from loadtest.relay_viewer import Viewer, stream
from stack.stack import Stack
from stack.temporary import temporary_stack

EVENT = b"x" * 100
PARTITIONS = 4
console = Console(stderr=True, highlight=False)


# -- viewers, in a process of their own


def count_events(url: str, viewers: int, wanted: int, said: Queue[Any]) -> None:
    """Hold `viewers` streams; say "ready", then (first event at, last event at), monotonic s."""
    asyncio.run(_count_all(url, viewers, wanted, said))


async def _count_all(url: str, viewers: int, wanted: int, said: Queue[Any]) -> None:
    holding = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(_count(url, wanted, holding)) for _ in range(viewers)]
    for _ in range(viewers):
        await holding.acquire()
    await asyncio.sleep(1.5)  # Pushpin looks at a channel again 1 s after its first subscription
    said.put("ready")
    spans = await asyncio.gather(*tasks)
    said.put((min(first for first, _ in spans), max(last for _, last in spans)))


async def _count(url: str, wanted: int, holding: asyncio.Semaphore) -> tuple[float, float]:
    mark, keep = b"\ndata: x", len(b"\ndata: x") - 1
    count, first, tail, holds = 0, 0.0, b"", False
    async with contextlib.aclosing(stream(url)) as pieces:
        async for piece in pieces:
            if not holds:
                holds = True
                holding.release()
            seen = tail + piece
            count += seen.count(mark)
            tail = seen[-keep:]
            if count and not first:
                first = time.monotonic()
            if count >= wanted:
                return first, time.monotonic()
    raise EOFError(f"the stream ended after {count} of {wanted} events")


class Counters:
    """The process of the viewers."""

    def __init__(self, url: str, viewers: int, wanted: int) -> None:
        self._said: Queue[Any] = multiprocessing.Queue()
        arguments = (url, viewers, wanted, self._said)
        self._process = multiprocessing.Process(target=count_events, args=arguments, daemon=True)
        self._process.start()
        self._said.get(timeout=60)

    def rate(self, wanted: int) -> float:
        """Events per second to each viewer, once they all have come."""
        first, last = self._said.get(timeout=120)
        self._process.join()
        rate: float = wanted / (last - first)
        return rate


# -- one publish per record


def relay_each(stack: Stack, source: str, channel_topic: str, count: int) -> None:
    """Relay `count` records of `source` to who holds `channel_topic`, each by a POST of its own."""
    place = RelayState(connect(stack.redis_url)).place(channel_topic)
    if place is None:
        raise click.ClickException(f"{channel_topic} is not relayed")
    prev = place.position.grip_id
    url = stack.settings()["HOLDFAST_GRIP_URL"].split(",")[0]
    consumer = Consumer({"bootstrap.servers": stack.kafka, "group.id": "each"})
    consumer.assign([TopicPartition(source, 0, 0)])
    with requests.Session() as session:
        session.trust_env = False
        for number in range(count):
            message = None
            while message is None:
                message = consumer.poll(1.0)
            body = b"event: message\ndata: " + (message.value() or b"") + b"\n\n"
            item = relay_item(f"events:{channel_topic}", body, f"{number}-each", prev)
            prev = f"{number}-each"
            session.post(
                f"{url}/publish/",
                data=msgspec.json.encode({"items": [item]}),
                headers={"Content-Type": "application/json"},
                timeout=10,
            ).raise_for_status()
    consumer.close()


def fill(stack: Stack, topic: str, count: int, partitions: int) -> None:
    producer = make_producer(stack)
    for number in range(count):
        put(producer, topic, number % partitions, EVENT)
        if number % 500 == 0:
            producer.poll(0)
    producer.flush(60)


def measure_each(stack: Stack, viewers: int, count: int) -> float:
    plain, shown = f"plain.{viewers}", f"shown.each.{viewers}"
    create(stack, plain, 1)
    create(stack, shown, 1)
    fill(stack, plain, count, 1)
    stack.stop_part("relay-1")  # its confirms would break the other relay's chain
    try:
        counters = Counters(f"{stack.url}/events/{shown}/", viewers, count)
        relay_each(stack, plain, shown, count)
        return counters.rate(count)
    finally:
        stack.start_part("relay-1")
        stack.wait_ready()


def measure_batched(stack: Stack, viewers: int, count: int) -> float:
    topic = f"shown.rate.{viewers}"
    create(stack, topic, PARTITIONS)
    stack.stop_part("relay-1")
    fill(stack, topic, count, PARTITIONS)
    counters = Counters(f"{stack.url}/events/{topic}/", viewers, count)
    stack.start_part("relay-1")
    return counters.rate(count)


def peak_memory_mb(stack: Stack) -> float:
    """What the relay that runs now has taken at most."""
    text = Path(f"/proc/{stack.pid('relay-1')}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if "VmHWM" in line) / 1024


# -- latency, and everybody coming back


async def measure_latency(stack: Stack, seconds: float, rate: float) -> list[float]:
    """ms from just before a record is produced to its event at a viewer."""
    topic = "shown.latency"
    create(stack, topic, PARTITIONS)
    took: list[float] = []
    count = int(seconds * rate)

    async def watch() -> None:
        rest = b""
        async with contextlib.aclosing(stream(f"{stack.url}/events/{topic}/")) as pieces:
            async for piece in pieces:
                now = time.monotonic()
                *blocks, rest = (rest + piece).split(b"\n\n")
                for block in blocks:
                    if b"\ndata: " in block:
                        took.append(1000 * (now - float(block.rpartition(b"\ndata: ")[2])))
                if len(took) > count:
                    return

    watching = asyncio.create_task(watch())
    await asyncio.sleep(2)
    producer = make_producer(stack)
    # The first record waits for the producer's own connection and id.
    put(producer, topic, 0, b"%.6f" % time.monotonic())
    await asyncio.to_thread(producer.flush, 30)
    started = time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
        put(producer, topic, number % PARTITIONS, b"%.6f" % time.monotonic())
        producer.poll(0)
    async with asyncio.timeout(30):
        await watching
    return took[1:]


async def measure_return(stack: Stack, viewers: int) -> dict[str, float]:
    """All viewers of a Pushpin come back at once, with records in between that they have missed."""
    topic = "shown.return"
    create(stack, topic, PARTITIONS)
    everybody = [Viewer(f"{stack.pushpin_url}/events/{topic}/") for _ in range(viewers)]
    counts = [0] * PARTITIONS
    producer = make_producer(stack)

    def add(number: int) -> None:
        for _ in range(number):
            partition = min(range(PARTITIONS), key=counts.__getitem__)
            put(producer, topic, partition, b"%d %d x" % (partition, counts[partition]))
            counts[partition] += 1
        producer.flush(30)

    async def complete(what: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while any(viewer.expected != dict(enumerate(counts)) for viewer in everybody):
            if time.monotonic() > deadline:
                raise click.ClickException(f"not within {timeout_s:g} s: {what}")
            await asyncio.sleep(0.05)

    for number, viewer in enumerate(everybody):
        viewer.start()
        if number % 50 == 49:
            await asyncio.sleep(0.05)
    while not all(viewer.position for viewer in everybody):
        await asyncio.sleep(0.1)
    await asyncio.to_thread(add, 100)
    await complete("the first records at everybody", 60)
    await asyncio.to_thread(stack.stop_part, "pushpin-1")
    await asyncio.to_thread(add, 200)
    origin, calls = _origin_requests(stack), _redis_calls(stack)
    started = time.monotonic()
    await asyncio.to_thread(stack.start_part, "pushpin-1")
    await complete("everything at everybody again", 120)
    took = time.monotonic() - started
    figures = {
        "seconds until all are complete": took,
        "requests to the origin": _origin_requests(stack) - origin,
        "Redis calls (views)": _redis_calls(stack) - calls,
        "connections refused": sum(viewer.refused for viewer in everybody),
        "violations": sum(len(viewer.violations) for viewer in everybody),
        "resets": sum(len(viewer.resets) for viewer in everybody),
    }
    for viewer in everybody:
        await viewer.stop()
    return figures


def _origin_requests(stack: Stack) -> float:
    total = 0.0
    for url in stack.origin_urls:
        for line in httpx.get(f"{url}/metrics", timeout=10).text.splitlines():
            if line.startswith("holdfast_origin_requests_total") and 'route="/events/' in line:
                total += float(line.rsplit(" ", 1)[1])
    return total


def _redis_calls(stack: Stack) -> float:
    """Calls of scripts: beside the relay's own two or three a second, the origin's views."""
    with redis.Redis.from_url(stack.redis_url) as client:
        found: Any = client.info("commandstats")
    return float(found.get("cmdstat_evalsha", {}).get("calls", 0))


@click.command()
@click.option("--latency-s", default=20.0, show_default=True)
@click.option("--returning", default=2_000, show_default=True, help="Viewers that come back.")
def main(latency_s: float, returning: int) -> None:
    """Print the rates, the latency, and what a Pushpin's restart costs."""
    table = Table("viewers", "per record, /s", "Holdfast, /s", "ratio", "to all, /s", box=None)
    memory = 0.0
    with temporary_stack(VALUES) as stack:
        for viewers, each, batched in (
            (1, 2_000, 1_000_000),
            (10, 2_000, 200_000),
            (100, 1_000, 30_000),
        ):
            console.print(f"{viewers} viewers, one publish per record")
            slow = measure_each(stack, viewers, each)
            console.print(f"{viewers} viewers, Holdfast")
            fast = measure_batched(stack, viewers, batched)
            memory = max(memory, peak_memory_mb(stack))
            row = (slow, fast, fast / slow, fast * viewers)
            table.add_row(str(viewers), *(f"{figure:,.0f}" for figure in row))
        Console().print(table)
        print(f"the relay's memory, at most: {memory:.0f} MB")
        console.print("latency")
        took = asyncio.run(measure_latency(stack, latency_s, 100.0))
        cuts = statistics.quantiles(took, n=100)
        print(
            f"record to event at 100/s: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, "
            f"{len(took)} events"
        )
        console.print(f"{returning} viewers come back")
        for what, figure in asyncio.run(measure_return(stack, returning)).items():
            print(f"{what}: {figure:,.1f}")


if __name__ == "__main__":
    main()
