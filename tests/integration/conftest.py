"""A real Redis for every test here: empty at first, without cached scripts."""

from __future__ import annotations

import pytest

from holdfast.state import Partition, State
from tests.integration.redis_server import RedisServer


@pytest.fixture(scope="session")
def shared_redis():
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def client(shared_redis):
    with shared_redis.connect() as client:
        client.flushall()
        client.script_flush()
        yield client


@pytest.fixture
def state(client):
    return State(client)


@pytest.fixture
def partition():
    return Partition("updates", 0)


@pytest.fixture
def own_redis():
    """A Redis that the test may kill, cut back and wipe."""
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.close()
