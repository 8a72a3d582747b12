"""Nodes that join and leave: who gets what, and what is left of who is gone."""

from __future__ import annotations

import pytest
import requests
from prometheus_client import REGISTRY

from publisher.addresses import Addresses
from publisher.fleet import Fleet
from publisher.purge import EdgeNode
from tests.e2e.viewers import until


class Session:
    """Takes what is posted, or refuses it."""

    trust_env = False
    status_code = 200

    def __init__(self):
        self.headers, self.keys, self.refuses, self.closed = {}, [], False, False

    def post(self, url, headers, **_):
        if self.refuses:
            raise requests.ConnectionError("refused")
        self.keys.append(headers["Surrogate-Key"])
        return self

    def close(self):
        self.closed = True


class Edges:
    """A fleet of edges, and the DNS that names them."""

    def __init__(self, *hosts):
        self.hosts = set(hosts)
        self.sessions = {}
        self.fleet = Fleet(
            Addresses(["dns+http://edge:1"], lambda *_: self.hosts, grace_s=0.0), self._make
        )
        self.fleet.start()

    def _make(self, url):
        node = EdgeNode(url, "s", "key")
        node.session = self.sessions[url] = Session()
        return node

    def look(self, *hosts):
        self.hosts = set(hosts)
        self.fleet.look()

    @property
    def urls(self):
        return {node.url for node in self.fleet}


@pytest.fixture
def edges():
    edges = Edges("a", "b")
    yield edges
    edges.fleet.stop()


def _series(url):
    return [
        sample
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.labels.get("node") == url
    ]


def test_who_is_there_at_the_start_is_owed_nothing(edges):
    for node in edges.fleet:
        assert node.submit([("value:x", 1)]).result(10)
    assert edges.sessions["http://a:1"].keys == ["value:x"]
    assert edges.fleet.newcomers() == []


def test_an_edge_that_joins_gets_a_purge_of_everything_and_then_what_is_sent(edges):
    edges.look("a", "b", "c")
    (joined,) = edges.fleet.newcomers()
    assert joined.url == "http://c:1"
    assert edges.fleet.newcomers() == []
    session = edges.sessions["http://c:1"]
    until(lambda: session.keys, "a purge of everything")
    assert joined.submit([("value:x", 1)]).result(10)
    assert session.keys == ["all", "value:x"]


def test_who_comes_back_was_away(edges):
    edges.look("a")
    assert edges.urls == {"http://a:1"}
    edges.look("a", "b")
    until(lambda: edges.sessions["http://b:1"].keys, "a purge of everything")
    assert edges.sessions["http://b:1"].keys == ["all"]
    assert len(edges.fleet.newcomers()) == 1


def test_who_stays_stays_the_same(edges):
    before = list(edges.fleet)
    edges.look("a", "b")
    assert list(edges.fleet) == before
    assert edges.sessions["http://a:1"].keys == []


def test_who_leaves_finishes_its_work_and_leaves_no_series(edges):
    gone = next(node for node in edges.fleet if node.url == "http://b:1")
    attempted = gone.submit([("value:x", 1)])
    assert attempted.result(10)
    assert _series("http://b:1")
    edges.look("a")
    gone.join(10)
    assert not gone.is_alive()
    assert edges.sessions["http://b:1"].closed
    assert _series("http://b:1") == []


def test_a_dead_node_can_be_let_go(edges):
    edges.sessions["http://b:1"].refuses = True
    gone = next(node for node in edges.fleet if node.url == "http://b:1")
    gone.submit([("value:x", 1)])
    edges.look("a")
    gone.join(10)
    assert not gone.is_alive()
