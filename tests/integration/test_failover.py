"""The address of Redis leads to another master, while the former one lives on as a replica."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis

from holdfast.errors import UnavailableError
from holdfast.state import Fold, Partition, State, connect
from holdfast.values import parse
from tests.integration.redis_server import RedisServer

PARTITION = Partition("updates", 0)
VALUES = parse('[values.counter]\nreduce = "sum"\ndefault = true')


class Address:
    """A socket that leads to one of two servers."""

    def __init__(self, folder, first, second):
        self._link, self.first, self.second = folder / "address", first, second
        self._link.symlink_to(first.socket)
        self.url = f"unix://{self._link}?db=0"

    def fail_over(self):
        """The second is the master now; the first refuses to write, and keeps its connections."""
        with redis.Redis.from_url(self.first.url) as client:
            client.replicaof("127.0.0.1", "1")
        self._link.unlink()
        self._link.symlink_to(self.second.socket)


@pytest.fixture
def address(tmp_path):
    servers = [RedisServer(), RedisServer()]
    try:
        for server in servers:
            server.start()
        yield Address(tmp_path, *servers)
    finally:
        for server in servers:
            server.close()


def _beat(state):
    state.heartbeat(PARTITION, 0, 0, 1, True, "")


def test_who_writes_leaves_a_demoted_master(address):
    state = State(connect(address.url))
    _beat(state)
    address.fail_over()
    with pytest.raises(UnavailableError):
        _beat(state)
    _beat(state)
    with redis.Redis.from_url(address.second.url) as client:
        assert client.hget("ready:updates", "partitions") == b"1"


def test_a_pipeline_leaves_it_too(address):
    state = State(connect(address.url))
    one = Fold("counter", 0, 1, ("add", "1", "0", "0"), single=True)
    assert state.apply(PARTITION, 0, 0, [one])[0][0] == "APPLIED"
    address.fail_over()
    with pytest.raises(UnavailableError):
        state.apply(PARTITION, 0, 0, [replace(one, first=1, next=2)])
    # The new master knows nothing: it is replayed.
    assert state.apply(PARTITION, 0, 0, [replace(one, next=2)])[0][0] == "APPLIED"


def test_who_reads_leaves_it_once_told_that_it_is_not_trusted(address):
    publisher, origin = State(connect(address.url)), State(connect(address.url))
    _beat(publisher)
    assert origin.view(VALUES.default).ready
    address.fail_over()
    with pytest.raises(UnavailableError):
        _beat(publisher)
    _beat(publisher)
    # The former master has not heard of the new one's releases, but has its own to tell.
    with redis.Redis.from_url(address.first.url) as client:
        client.replicaof("NO", "ONE")
        client.hdel("ready:updates", "0")
    assert not origin.view(VALUES.default).ready
    origin.reconnect()
    assert origin.view(VALUES.default).ready
