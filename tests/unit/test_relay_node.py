"""A Pushpin as the relay knows it: what it has in hand is bounded, whatever it does."""

from __future__ import annotations

import time

import pytest

from publisher.relay.batch import Batch
from publisher.relay.node import MOST_QUEUED, RelayNode


@pytest.fixture
def node():
    """Its thread does not run: it is busy."""
    return RelayNode("http://127.0.0.1:9", lambda topic, keys: None)


def batch(number):
    return Batch("test", frozenset({f"key{number}"}), (b"{}",))


def test_nobody_waits_for_a_node_that_fails_and_its_queue_stays_short(node):
    node.failing = True
    began = time.monotonic()
    for number in range(50):
        node.offer(batch(number), 60)
    assert time.monotonic() - began < 30
    assert node._jobs.qsize() == MOST_QUEUED
    assert node._owed["test"] == {f"key{number}" for number in range(MOST_QUEUED, 50)}


def test_who_is_not_in_time_is_owed_the_rest(node):
    for number in range(MOST_QUEUED + 2):
        node.offer(batch(number), 0)
    assert node._jobs.qsize() == MOST_QUEUED
    assert len(node._owed["test"]) == 2
