"""Ports of a stack's parts."""

from __future__ import annotations

import socket

import pytest

from holdfast.errors import ConfigError
from stack import ports


@pytest.fixture(autouse=True)
def own_claims(tmp_path, monkeypatch):
    monkeypatch.setattr(ports.tempfile, "gettempdir", lambda: str(tmp_path))


# With so many, a chooser that could give one port twice would do so on nearly every run.
NAMES = [f"part-{number}" for number in range(800)]


def test_no_port_is_given_twice(tmp_path):
    chosen = ports.choose(tmp_path / "ports.json", NAMES, {})
    assert len(set(chosen.values())) == len(NAMES)


def test_two_stacks_that_start_at_once_choose_different_ports(tmp_path):
    first = ports.choose(tmp_path / "first.json", NAMES, {})
    second = ports.choose(tmp_path / "second.json", NAMES, {})  # the first don't listen yet
    assert not set(first.values()) & set(second.values())


def test_ports_are_remembered_but_for_those_that_are_taken_meanwhile(tmp_path):
    names = ["a", "b"]
    before = ports.choose(tmp_path / "ports.json", names, {})
    with socket.create_server((ports.HOST, before["b"])):
        after = ports.choose(tmp_path / "ports.json", names, {})
    assert after["a"] == before["a"]
    assert after["b"] != before["b"]


def test_a_fixed_port_that_is_taken_is_an_error_that_says_what_to_do(tmp_path):
    with socket.create_server((ports.HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            ConfigError, match=f"port {port} is taken .* choose another with --port"
        ):
            ports.choose(tmp_path / "ports.json", ["nginx"], {"nginx": (port, "--port")})
