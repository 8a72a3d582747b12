"""Thousands of seeds of the simulation. Replay one that fails: python -m tests.simulation SEED"""

from __future__ import annotations

import logging
import os

import pytest

from tests.simulation.world import simulate

SEEDS = int(os.environ.get("HOLDFAST_SEEDS", "2000"))
SHARDS = 6


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_seed_breaks_a_promise(shard):
    logging.disable()
    bad = []
    try:
        for seed in range(shard, SEEDS, SHARDS):
            try:
                simulate(seed)
            except Exception as error:  # noqa: BLE001 - whatever it is, it goes with its seed
                bad.append(f"python -m tests.simulation {seed}  # {error!r}")
    finally:
        logging.disable(logging.NOTSET)
    assert not bad, f"{len(bad)} of {SEEDS // SHARDS} seeds; replay:\n" + "\n".join(bad[:5])


def test_a_seed_plays_the_same_each_time():
    logging.disable()
    try:
        first, second = simulate(7), simulate(7)
    finally:
        logging.disable(logging.NOTSET)
    assert first.log.partitions == second.log.partitions
    assert first.seen == second.seen
    assert first.recoveries == second.recoveries
