"""Who else is there: names that stand for many nodes, looked up again and again."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterable, Mapping

log = logging.getLogger(__name__)

Addresses = tuple[str, ...]


class Peers:
    """The nodes behind names, as sorted "host:port".

    names: of one kind of node each, as "name:port,name:port". A node is gone as soon as its name
    no longer says so. One that joins counts `join_after_s` later, except at the start: by then the
    publishers, who look for themselves, have told it what it missed. A name without any answer
    changes nothing: DNS may be away, and who serves a stale copy must not forget whose it is.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        *,
        join_after_s: float = 0.0,
        lookup: Callable[[str, int], Iterable[str]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = {kind: _split(entries) for kind, entries in names.items()}
        self._join_after_s = join_after_s
        self._lookup = lookup or addresses
        self._clock = clock
        self._seen: dict[tuple[str, int], dict[str, float]] = {}

    def look(self) -> dict[str, Addresses]:
        """Everybody now, by kind; () for a kind of which nobody was ever found."""
        found: dict[str, Addresses] = {}
        for kind, entries in self._names.items():
            hosts: set[str] = set()
            for entry in entries:
                hosts.update(self._nodes(*entry))
            found[kind] = tuple(sorted(hosts))
        return found

    def _nodes(self, name: str, port: int) -> list[str]:
        now, before = self._clock(), self._seen.get((name, port))
        try:
            answer = set(self._lookup(name, port))
        except OSError as error:
            log.debug("%s: %s", name, error)
            answer = set()
        if answer:
            # Whoever was there first is known to everybody, or is found by everybody at once.
            since = now if before else now - self._join_after_s
            known = {address: (before or {}).get(address, since) for address in answer}
            self._seen[name, port] = known
        known = self._seen.get((name, port), {})
        joined = [each for each, since in known.items() if now - since >= self._join_after_s]
        # When all others are gone, one that has only just come is better than none.
        return joined or list(known)


def addresses(name: str, port: int) -> set[str]:
    """Where `name` is, as "host:port". Raises OSError when it is nowhere.

    The addresses of one family, since a node may have one of each: IPv4 if there are any.
    """
    answers = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    for family, form in ((socket.AF_INET, "{}:{}"), (socket.AF_INET6, "[{}]:{}")):
        found = {form.format(sock[0], port) for each, _, _, _, sock in answers if each == family}
        if found:
            return found
    return set()


def _split(entries: str) -> list[tuple[str, int]]:
    """ValueError when an entry is no name:port."""
    result = []
    for entry in filter(None, (part.strip() for part in entries.split(","))):
        name, _, port = entry.rpartition(":")
        if not name or not port.isdigit():
            raise ValueError(f"{entry!r} is not of the form name:port")
        result.append((name.strip("[]"), int(port)))
    return result
