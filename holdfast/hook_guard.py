"""Which addresses webhooks may go to: public ones, and what the operator of the service permits.

Whoever may set a webhook makes Holdfast connect to an address of theirs. Without a guard that
reaches what only this machine or its network can reach: consoles without passwords, a cloud's
metadata with credentials in it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# IANA's registry of special-purpose addresses (RFC 6890 and later), and multicast. Written down
# here, since what Python calls global has changed between its versions.
_NOT_PUBLIC_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this host; 0.0.0.0 connects to loopback
            "10.0.0.0/8",
            "100.64.0.0/10",  # carriers' NAT; some clouds' metadata
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's host, from within its machines
            "169.254.0.0/16",  # link-local; most clouds' metadata
            "172.16.0.0/12",
            "192.0.0.0/24",  # protocols; Oracle's metadata
            "192.0.2.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "192.175.48.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
# Of IPv6 only this is handed out to anybody (RFC 4291); all else is loopback, local, multicast,
# or an IPv4 address in disguise.
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocols; Teredo, which holds IPv4 addresses
            "2001:db8::/32",
            "2002::/16",  # 6to4, which does, too
            "2620:4f:8000::/48",
            "3fff::/20",
        ),
    )
)


class Guard:
    """Decides about addresses. allowed: networks that are permitted whatever they are."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """ValueError: not a network."""
        self._allowed = tuple(map(network, allowed))

    def fault(self, text: str, *, secure: bool) -> str | None:
        """Why nothing may be sent to this address, None = it may. secure: by https."""
        try:
            address = _plain(ipaddress.ip_address(text))
        except ValueError:
            return f"{text} is no address"
        if any(address in allowed for allowed in self._allowed):
            return None
        if not is_public(address):
            return f"{address} is no public address, and not in HOLDFAST_WEBHOOK_ALLOW"
        if not secure:
            return f"http:// only goes to networks in HOLDFAST_WEBHOOK_ALLOW; {address} is in none"
        return None


def network(text: str) -> Network:
    """From `10.0.0.0/8`, or one address. Raises ValueError."""
    return ipaddress.ip_network(text.strip())


def is_public(address: Address) -> bool:
    """Whether anybody on the internet might own it."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in known for known in _NOT_PUBLIC_4)
    return address in _PUBLIC_6 and not any(address in known for known in _NOT_PUBLIC_6)


def _plain(address: Address) -> Address:
    """An IPv4 address that is written as IPv6 (::ffff:127.0.0.1) is what it is."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
