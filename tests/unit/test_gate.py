"""When nginx may find a Pushpin: sockets as Pushpin's, of a process that stands in for it."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from stack import gate

ALL = list(gate._PEERS.items())
LISTENERS: dict[str, socket.socket] = {}


@pytest.fixture
def run(tmp_path):
    """Listening: one door, and each of ZeroMQ's sockets, without a peer."""
    with ExitStack() as open_:
        for name in ("starting-1", *(f"pushpin-1-{each}" for each in gate._PEERS)):
            listener = open_.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(tmp_path / name))
            listener.listen()
            LISTENERS[name] = listener
        yield tmp_path


def connect(run, open_: ExitStack, name: str, count: int) -> None:
    for _ in range(count):
        peer = open_.enter_context(socket.socket(socket.AF_UNIX))
        peer.connect(str(run / f"pushpin-1-{name}"))
        open_.enter_context(LISTENERS[f"pushpin-1-{name}"].accept()[0])


def test_it_is_open_once_all_have_found_each_other(run):
    with ExitStack() as open_:
        for name, count in ALL:
            assert not gate.connected(run)
            connect(run, open_, name, count)
        assert gate.connected(run)


@pytest.mark.parametrize("missing", list(gate._PEERS))
def test_nobody_may_be_missing(run, missing):
    with ExitStack() as open_:
        for name, count in ALL:
            connect(run, open_, name, count - (name == missing))
        assert not gate.connected(run)


def test_somebody_elses_peers_do_not_count(run, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    with ExitStack() as open_:
        door = open_.enter_context(socket.socket(socket.AF_UNIX))
        door.bind(str(other / "starting-1"))
        door.listen()
        for name, count in ALL:
            connect(run, open_, name, count)
        assert not gate.connected(other)


def test_a_pushpin_whose_leader_is_gone_is_not_opened(run):
    gate.open_when_ready(run, leader=0)  # nobody's parent
    assert (run / "starting-1").is_socket()
    assert not (run / "http-1").exists()


def test_the_door_is_where_nginx_looks_once_it_is_open(run, monkeypatch):
    monkeypatch.setattr(gate.os, "getppid", lambda: 1)
    with ExitStack() as open_:
        for name, count in ALL:
            connect(run, open_, name, count)
        gate.open_when_ready(run, leader=1)
    assert (run / "http-1").is_socket()
    with socket.socket(socket.AF_UNIX) as viewer:
        viewer.connect(str(run / "http-1"))
