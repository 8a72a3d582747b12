"""Whom a container takes for its peers, by what DNS says."""

from __future__ import annotations

import socket

import pytest

from containers.peers import Peers, addresses


class Dns:
    """Says what it was told; an unknown name is an error, as in the real one."""

    def __init__(self, **names):
        self.names = names
        self.now = 100.0

    def lookup(self, name, port):
        if not self.names.get(name):
            raise socket.gaierror(f"no {name}")
        return {f"{host}:{port}" for host in self.names[name]}

    def peers(self, names, **options):
        return Peers(names, lookup=self.lookup, clock=lambda: self.now, **options)


def test_every_address_of_a_name_is_a_node():
    dns = Dns(varnish=["10.0.0.2", "10.0.0.1"], spare=["10.0.0.9"])
    peers = dns.peers({"varnishes": "varnish:6081, spare:81"})
    assert peers.look() == {"varnishes": ("10.0.0.1:6081", "10.0.0.2:6081", "10.0.0.9:81")}


def test_who_left_is_gone_at_once():
    dns = Dns(varnish=["10.0.0.1", "10.0.0.2"])
    peers = dns.peers({"varnishes": "varnish:6081"}, join_after_s=8.0)
    peers.look()
    dns.names["varnish"] = ["10.0.0.2"]
    assert peers.look() == {"varnishes": ("10.0.0.2:6081",)}


def test_who_joins_waits_until_publishers_know_of_it():
    dns = Dns(varnish=["10.0.0.1"])
    peers = dns.peers({"varnishes": "varnish:6081"}, join_after_s=8.0)
    assert peers.look() == {"varnishes": ("10.0.0.1:6081",)}
    dns.names["varnish"] = ["10.0.0.1", "10.0.0.2"]
    for passed_s, count in ((0.0, 1), (7.9, 1), (0.1, 2)):
        dns.now += passed_s
        assert len(peers.look()["varnishes"]) == count


def test_who_came_and_went_waits_again():
    dns = Dns(varnish=["10.0.0.1", "10.0.0.2"])
    peers = dns.peers({"varnishes": "varnish:6081"}, join_after_s=8.0)
    peers.look()
    dns.names["varnish"] = ["10.0.0.1"]
    peers.look()
    dns.names["varnish"] = ["10.0.0.1", "10.0.0.2"]
    assert peers.look() == {"varnishes": ("10.0.0.1:6081",)}


def test_a_newcomer_is_better_than_nobody():
    dns = Dns(varnish=["10.0.0.1"])
    peers = dns.peers({"varnishes": "varnish:6081"}, join_after_s=8.0)
    peers.look()
    dns.names["varnish"] = ["10.0.0.2"]
    assert peers.look() == {"varnishes": ("10.0.0.2:6081",)}


def test_no_answer_changes_nothing():
    dns = Dns(origin=["10.0.0.1", "10.0.0.2"])
    peers = dns.peers({"origins": "origin:8000"})
    before = peers.look()
    dns.names["origin"] = []
    assert peers.look() == before


def test_a_name_that_was_never_there_has_no_nodes():
    assert Dns().peers({"origins": "origin:8000"}).look() == {"origins": ()}


def test_an_address_is_a_name_too():
    assert addresses("127.0.0.1", 8000) == {"127.0.0.1:8000"}
    assert addresses("::1", 8000) == {"[::1]:8000"}


@pytest.mark.parametrize("entries", ["origin", "origin:", ":8000", "origin:http"])
def test_an_entry_without_a_port_is_refused(entries):
    with pytest.raises(ValueError, match="is not of the form name:port"):
        Peers({"origins": entries})
