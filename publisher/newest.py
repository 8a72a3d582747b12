"""What a confirm shows on WebSockets: the newest release of a value, from memory or from Redis."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from holdfast.errors import UnavailableError
from holdfast.formats import socket_confirm
from holdfast.snapshots import Snapshot
from publisher import metrics

log = logging.getLogger(__name__)

# Of messages that are kept: what 10,000 values of a usual size take, and some.
MOST_BYTES = 8_000_000
BATCH = 250  # values in one round trip, so 4 MB at most


class Newest:
    """Messages by value and version. A version never means anything else, so a kept one is right.

    snapshots: the newest releases by name, from Redis; UnavailableError = not now. For any thread.
    """

    def __init__(
        self,
        snapshots: Callable[[Sequence[str]], Mapping[str, Snapshot]],
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._snapshots = snapshots
        self._most_bytes = most_bytes
        self._kept: dict[str, tuple[int, bytes]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def messages(self, versions: Iterable[tuple[str, int]]) -> dict[str, bytes]:
        """By name, of those that Redis has at that very version. Of a newer one nothing: it brings
        an item of its own.

        Empty while Redis can't be asked: WebSockets wait for the next confirm, and nobody else
        needs them.
        """
        wanted = dict(versions)
        with self._lock:
            found = {
                name: kept[1]
                for name, version in wanted.items()
                if (kept := self._kept.get(name)) is not None and kept[0] == version
            }
        missing = [name for name in wanted if name not in found]
        try:
            for start in range(0, len(missing), BATCH):
                for name, snapshot in self._snapshots(missing[start : start + BATCH]).items():
                    if snapshot.version == wanted[name]:
                        found[name] = self._keep(snapshot)
        except UnavailableError as error:
            metrics.REDIS_ERRORS.inc()
            log.warning("confirms go without snapshots: %s", error)
        return found

    def _keep(self, snapshot: Snapshot) -> bytes:
        text = socket_confirm(snapshot)
        with self._lock:
            before = self._kept.pop(snapshot.name, None)
            self._bytes += len(text) - (0 if before is None else len(before[1]))
            self._kept[snapshot.name] = (snapshot.version, text)
            while self._bytes > self._most_bytes:
                _, forgotten = self._kept.pop(next(iter(self._kept)))
                self._bytes -= len(forgotten)
        return text
