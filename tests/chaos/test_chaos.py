"""A short version of `scripts/chaos`: each part once, with less load and shorter faults."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.cli.chaos import PARTS, SIZES
from stack.chaos.faults import FAULTS
from stack.chaos.round import VALUES, Load, play, prepare
from stack.temporary import temporary_stack

# Longer than a publisher's session, so that a stopped one wakes up as a zombie.
LOAD = Load(updates=100, viewers=24, hang_s=8.0)
ROWS = [
    *((part, "kill -9") for part in PARTS if part != "publisher-2"),
    ("publisher-1", "hang"),
    ("publisher-2", "leave"),
    ("redis", "hang"),
    ("redis", "wipe"),
    ("redis", "roll back"),
    ("redis", "fail over"),
    ("nginx", "restart"),
]


@pytest.fixture(scope="module")
def chaos_stack():
    with temporary_stack(VALUES, sizes=SIZES) as stack:
        asyncio.run(prepare(stack.url))
        yield stack


@pytest.mark.parametrize(("part", "fault"), ROWS, ids=[" ".join(row) for row in ROWS])
def test_nothing_is_lost_or_doubled_and_everybody_ends_at_the_truth(chaos_stack, part, fault):
    outcome = asyncio.run(play(chaos_stack, part, FAULTS[fault], LOAD, lambda _: None))
    assert outcome.good, outcome
    assert outcome.updates > 200
    if part.startswith("publisher"):
        assert outcome.silence_s < 10, outcome
