"""Where nodes are: at URLs, or behind names whose addresses come and go (DNS)."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import urlsplit

from publisher import metrics

log = logging.getLogger(__name__)

PREFIX = "dns+"
# An address must have been missing for so long before its node is given up: DNS servers leave out
# who is not ready for a moment, and some tell only a few addresses each time.
GRACE_S = 60.0

# The IP addresses of a host and port. Raises OSError when they can't be found out now.
Resolve = Callable[[str, int], Iterable[str]]


def resolve(host: str, port: int) -> set[str]:
    """Ask the system. One family alone: a node that has both would be two nodes."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family = min(family for family, *_ in found)  # AF_INET comes before AF_INET6
    return {str(address[0]) for each, *_, address in found if each == family}


class Addresses:
    """The URLs that `entries` lead to: `dns+http://edge:6081` to one for each address of `edge`.

    urls may be read from any thread, look() is for one.
    """

    def __init__(
        self,
        entries: Sequence[str],
        resolve: Resolve = resolve,
        clock: Callable[[], float] = time.monotonic,
        grace_s: float = GRACE_S,
    ) -> None:
        self._entries = entries
        self._resolve = resolve
        self._clock = clock
        self._grace_s = grace_s
        # By entry: its URLs, and since when each is missing from the answers.
        self._found: dict[str, dict[str, float | None]] = {}
        self._failing: set[str] = set()
        self.urls: tuple[str, ...] = ()
        self.look()

    @property
    def changing(self) -> bool:
        """Whether a later look may find others."""
        return any(entry.startswith(PREFIX) for entry in self._entries)

    def look(self) -> None:
        """Resolve every name again. Where that fails, everything stays as it was."""
        urls: list[str] = []
        for entry in self._entries:
            if entry.startswith(PREFIX):
                self._look(entry)
                urls.extend(self._found.get(entry, ()))
            else:
                urls.append(entry)
        self.urls = tuple(dict.fromkeys(urls))

    def _look(self, entry: str) -> None:
        url = urlsplit(entry.removeprefix(PREFIX))
        port = url.port or 80
        try:
            hosts = self._resolve(url.hostname or "", port)
        except (OSError, UnicodeError) as error:
            metrics.DNS_ERRORS.inc()
            if entry not in self._failing:
                log.warning("%s can't be resolved, its nodes stay: %s", url.hostname, error)
            self._failing.add(entry)
            return
        self._failing.discard(entry)
        now = self._clock()
        found = [
            url._replace(netloc=f"[{host}]:{port}" if ":" in host else f"{host}:{port}").geturl()
            for host in sorted(hosts)
        ]
        before = self._found.get(entry, {})
        after: dict[str, float | None] = dict.fromkeys(found)
        for known, missing in before.items():
            since = now if missing is None else missing
            if known not in found and now - since < self._grace_s:
                after[known] = since
        self._found[entry] = after
