"""A client that asks again and again for what is newer than what it knows: long-polling."""

from __future__ import annotations

import re
import socket
import threading
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx

from tests.e2e.viewers import until

_ACCEPTED = re.compile(r" GET \S+/values/counter\?wait=\d+&after=\d+\S* \S+ \S+ accept")


def polls_accepted(stack) -> int:
    """How many of the counter's polls Pushpin has taken to hold so far, as its log has it."""
    log = stack.dir / "pushpin-1" / "log" / "pushpin-proxy.log"
    return len(_ACCEPTED.findall(log.read_text()))


@dataclass
class Poller:
    """Polls one value in a thread, from its snapshot on, and notes what it is answered.

    after: what it says it has seen, for a poller without a snapshot. reconnect: whether it goes on
    after a failure.
    """

    base: str
    name: str
    wait_s: int = 25
    after: int | None = None
    reconnect: bool = False
    snapshots: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    timeouts: int = 0
    requests: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._client = httpx.Client(timeout=httpx.Timeout(10, read=self.wait_s + 20))
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Poller:
        self._thread.start()
        return self

    def __enter__(self) -> Poller:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stop.set()
        for each in self._sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed before
        self._thread.join(5)
        self._client.close()

    # -- what it saw

    @property
    def versions(self) -> list[int]:
        return [each["version"] for each in self.snapshots]

    @property
    def values(self) -> list[Any]:
        return [each["value"] for each in self.snapshots]

    def assert_increasing(self) -> None:
        versions = self.versions
        assert all(a < b for a, b in pairwise(versions)), versions

    def wait_connected(self) -> Poller:
        """Until it has the snapshot, or asks with what it knows already."""
        until(lambda: self.requests > 1 or self.after or self.failures, f"a poll of {self.name}")
        assert not self.failures, self.failures
        return self

    # -- the thread

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._ask()
            except (httpx.HTTPError, ValueError) as error:
                if not self._stop.is_set():
                    self.failures.append(repr(error))
                if not self.reconnect:
                    return
                self._stop.wait(0.2)

    def _ask(self) -> None:
        seen = self.versions[-1] if self.versions else self.after
        after = "" if seen is None else f"&after={seen}"
        self.requests += 1
        answer = self._client.get(
            f"{self.base}/values/{self.name}?wait={self.wait_s}{after}",
            extensions={"trace": self._trace},
        )
        answer.raise_for_status()
        if answer.status_code == 204:
            self.timeouts += 1
        else:
            self.snapshots.append(answer.json())

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        """Notes sockets: who waits for an answer is woken by them."""
        if event == "connection.connect_tcp.complete":
            self._sockets.append(info["return_value"].get_extra_info("socket"))
