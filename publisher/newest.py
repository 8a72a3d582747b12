"""What a confirm shows on WebSockets: the newest release of a value, kept or read from Redis."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from typing import Protocol

from holdfast.errors import UnavailableError
from holdfast.formats import socket_confirm
from holdfast.snapshots import Snapshot
from publisher import metrics

log = logging.getLogger(__name__)

# Of messages that are kept: what 10,000 values of a usual size take, and some.
MOST_BYTES = 8_000_000
BATCH = 250  # values in one round trip, so 4 MB at most


class Releases(Protocol):
    """What Redis knows of values by name (holdfast.state.State); UnavailableError = not now."""

    def versions(self, names: Sequence[str]) -> dict[str, int]: ...

    def snapshots(self, names: Sequence[str]) -> dict[str, Snapshot]: ...


class Newest:
    """Messages by value and version. A version never means anything else, so a kept one is right;
    but a publisher that was held up may be about to confirm what others have overtaken since, and
    a WebSocket would go back to that. So Redis is asked for the versions, always.

    For any thread.
    """

    def __init__(self, releases: Releases, most_bytes: int = MOST_BYTES) -> None:
        self._releases = releases
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
        found: dict[str, bytes] = {}
        try:
            newest = self._releases.versions(list(wanted)) if wanted else {}
            current = [name for name, version in wanted.items() if newest.get(name) == version]
            with self._lock:
                for name in current:
                    kept = self._kept.get(name)
                    if kept is not None and kept[0] == wanted[name]:
                        found[name] = kept[1]
            missing = [name for name in current if name not in found]
            for start in range(0, len(missing), BATCH):
                snapshots = self._releases.snapshots(missing[start : start + BATCH])
                for name, snapshot in snapshots.items():
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
