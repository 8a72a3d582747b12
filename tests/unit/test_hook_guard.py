"""Which addresses webhooks may go to."""

from __future__ import annotations

import pytest

from holdfast.hook_guard import Guard

NOT_PUBLIC = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",  # metadata
    "100.64.0.1",
    "100.100.100.200",  # Alibaba's metadata
    "168.63.129.16",  # Azure's
    "192.0.0.192",  # Oracle's
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",  # Amazon's metadata
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "172.32.0.1", "100.128.0.1", "::ffff:1.1.1.1", "2606:4700::1111"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
@pytest.mark.parametrize("secure", [True, False])
def test_nothing_goes_to_what_is_not_public(address, secure):
    assert "no public address" in Guard().fault(address, secure=secure)


@pytest.mark.parametrize("address", PUBLIC)
def test_to_public_addresses_goes_https_only(address):
    assert Guard().fault(address, secure=True) is None
    assert "http:// only goes to" in Guard().fault(address, secure=False)


def test_what_is_permitted_is_permitted_and_nothing_else():
    guard = Guard(["127.0.0.0/8", "10.1.2.3", "fd00::/8"])
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "10.1.2.3", "fd12::1"):
        assert guard.fault(address, secure=False) is None
    for address in ("10.1.2.4", "::1", "169.254.169.254"):
        assert guard.fault(address, secure=True) is not None


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433"])
def test_what_is_no_address_is_no_target(text):
    assert "no address" in Guard(["127.0.0.0/8"]).fault(text, secure=True)
