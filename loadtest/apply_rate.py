"""How fast updates are applied, with idempotency keys and without, and what the keys cost in Redis.

    .venv/bin/python -m loadtest.apply_rate

Sorts, folds and applies records as the publisher does, against a redis-server of its own. Prints
records/s, the ratio of both, and bytes per remembered key.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import redis
from rich.console import Console
from rich.progress import track
from rich.table import Table

from holdfast.state import Partition, State, connect
from holdfast.values import parse
from publisher.fold import Record, fold, series, sort_records

PARTITION = Partition("updates", 0)
VALUES = parse('[values.counter]\nreduce="sum"\ndefault=true\n[values."sum.*"]\nreduce="sum"\n')
BATCH = 10_000
MOST_KEYS = 1_000_000
NOW_MS = 1_764_000_000_000


@contextmanager
def own_redis() -> Iterator[redis.Redis]:
    """A redis-server with an AOF, on a Unix socket in a folder that goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-apply-"))
    address = folder / "redis.sock"
    options = {
        "port": "0",
        "unixsocket": str(address),
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "logfile": str(folder / "log"),
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    process = subprocess.Popen(["redis-server", *arguments])
    try:
        while True:
            try:
                client = connect(f"unix://{address}")
                client.ping()
                break
            except redis.ConnectionError:
                if process.poll() is not None:
                    raise click.ClickException((folder / "log").read_text()) from None
                time.sleep(0.02)
        yield client
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def apply_all(state: State, records: list[Record]) -> float:
    """Apply the records in batches; the seconds that it took."""
    started = time.perf_counter()
    for first in range(0, len(records), BATCH):
        batch = sort_records("updates", records[first : first + BATCH], VALUES)
        keyed = [series(batch.rules[name], batch.steps[name]) for name in batch.keyed]
        folds = [
            whole
            for name, steps in batch.steps.items()
            if name not in batch.keyed and (whole := fold(batch.rules[name], 0, steps))
        ]
        state.apply_each(PARTITION, 0, first, keyed, MOST_KEYS)
        state.apply(PARTITION, 0, first, folds)
        state.advance(PARTITION, 0, first, first + BATCH)
    return time.perf_counter() - started


def make(count: int, values: int, *, keyed: bool) -> list[Record]:
    names = [b"sum.%d" % number for number in range(values)]
    return [
        Record(
            offset,
            NOW_MS + offset,
            names[offset % values],
            b'{"add":1}',
            str(uuid.uuid4()).encode() if keyed else None,
        )
        for offset in range(count)
    ]


@click.command()
@click.option("--records", default=200_000, show_default=True, type=click.IntRange(BATCH))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
def main(records: int, rounds: int) -> None:
    """Compare updates with idempotency keys and without, at 1, 100 and 10,000 values."""
    table = Table("values", "without keys, /s", "with keys, /s", "ratio", "bytes per key", box=None)
    with own_redis() as client:
        state = State(client)
        sizes = [size for size in (1, 100, 10_000) for _ in range(rounds)]
        seconds: dict[tuple[int, bool], list[float]] = {}
        memory: dict[int, float] = {}
        for size in track(sizes, "applying", console=Console(stderr=True), transient=True):
            for keyed in (False, True):
                client.flushall()
                before = client.info("memory")["used_memory"]
                batch = make(records, size, keyed=keyed)
                seconds.setdefault((size, keyed), []).append(apply_all(state, batch))
                if keyed:
                    used = client.info("memory")["used_memory"] - before
                    memory[size] = used / records
        for size in dict.fromkeys(sizes):
            plain, with_keys = (
                records / statistics.median(seconds[size, keyed]) for keyed in (False, True)
            )
            table.add_row(
                str(size),
                f"{plain:,.0f}",
                f"{with_keys:,.0f}",
                f"{with_keys / plain:.2f}",
                f"{memory[size]:.0f}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
