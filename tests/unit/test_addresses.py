"""Names of nodes: which addresses count, when one is given up, and what a DNS failure changes."""

from __future__ import annotations

import pytest

from publisher.addresses import Addresses, resolve

NAME = "dns+http://edge:6081"


class Dns:
    """What the resolver answers now; None = a failure."""

    def __init__(self, *hosts):
        self.hosts = hosts
        self.now = 0.0
        self.asked = []

    def __call__(self, host, port):
        self.asked.append((host, port))
        if self.hosts is None:
            raise OSError("no answer")
        return self.hosts

    def addresses(self, *entries):
        return Addresses(entries, self, lambda: self.now, 60.0)


def test_a_name_is_a_node_per_address_and_a_plain_url_stays_as_it_is():
    dns = Dns("10.0.0.2", "10.0.0.1")
    addresses = dns.addresses("http://edge:80", NAME)
    assert addresses.urls == ("http://edge:80", "http://10.0.0.1:6081", "http://10.0.0.2:6081")
    assert dns.asked == [("edge", 6081)]


@pytest.mark.parametrize(
    ("entry", "host", "url"),
    [
        ("dns+http://edge", "10.0.0.1", "http://10.0.0.1:80"),
        ("dns+http://edge:6081", "fd00::1", "http://[fd00::1]:6081"),
        ("dns+http://p:5561/r?iss=a&key=b/", "10.0.0.1", "http://10.0.0.1:5561/r?iss=a&key=b/"),
    ],
)
def test_the_rest_of_the_url_is_kept(entry, host, url):
    assert Dns(host).addresses(entry).urls == (url,)


def test_a_node_that_two_entries_lead_to_is_one():
    addresses = Dns("10.0.0.1").addresses("http://10.0.0.1:6081", NAME)
    assert addresses.urls == ("http://10.0.0.1:6081",)


def test_an_address_that_vanishes_is_given_up_after_a_minute():
    dns = Dns("10.0.0.1", "10.0.0.2")
    addresses = dns.addresses(NAME)
    dns.hosts = ("10.0.0.1",)
    addresses.look()
    dns.now = 59.0
    addresses.look()
    assert len(addresses.urls) == 2
    dns.now = 60.0
    addresses.look()
    assert addresses.urls == ("http://10.0.0.1:6081",)


def test_an_address_that_comes_back_in_time_was_never_gone():
    dns = Dns("10.0.0.1", "10.0.0.2")
    addresses = dns.addresses(NAME)
    for now, hosts in ((1, ("10.0.0.1",)), (50, ("10.0.0.2",)), (65, ("10.0.0.1",))):
        dns.now, dns.hosts = float(now), hosts
        addresses.look()
    assert set(addresses.urls) == {"http://10.0.0.1:6081", "http://10.0.0.2:6081"}


def test_a_name_that_can_not_be_resolved_gives_nobody_up():
    dns = Dns("10.0.0.1")
    addresses = dns.addresses(NAME)
    dns.hosts = None
    for now in (10.0, 1000.0):
        dns.now = now
        addresses.look()
    # A minute without an answer does not count as a minute of absence.
    dns.hosts = ("10.0.0.2",)
    addresses.look()
    assert set(addresses.urls) == {"http://10.0.0.1:6081", "http://10.0.0.2:6081"}


def test_a_name_that_can_not_be_resolved_at_first_is_found_later():
    dns = Dns()
    dns.hosts = None
    addresses = dns.addresses(NAME)
    assert addresses.urls == ()
    dns.hosts = ("10.0.0.1",)
    addresses.look()
    assert addresses.urls == ("http://10.0.0.1:6081",)


def test_the_system_resolves_names_to_one_family():
    assert resolve("localhost", 80) in ({"127.0.0.1"}, {"::1"})
    with pytest.raises(OSError):  # noqa: PT011 - which error it is, the system decides
        resolve("nobody.invalid", 80)
