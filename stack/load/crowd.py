"""Thousands of viewers in processes of their own, told what to do over pipes."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from holdfast.errors import HoldfastError
from stack.load.report import Report
from stack.load.watcher import watch

# The key is RFC 6455's own: nobody here checks what is made of it.
_HANDSHAKE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

# Not fork: the parent may have threads (Kafka's).
_processes = multiprocessing.get_context("spawn")


class Crowd:
    """Viewers of `url`; each holds a connection of its own, of ws:// a WebSocket.

    once: they are readers, who leave with the first snapshot. accept: their Accept header.
    """

    def __init__(
        self,
        url: str,
        *,
        processes: int = 1,
        once: bool = False,
        accept: str = "text/event-stream",
    ) -> None:
        parts = urlsplit(url)
        host, port = parts.hostname or "127.0.0.1", parts.port or 80
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        socket = parts.scheme == "ws"
        request = f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        request += _HANDSHAKE if socket else f"Accept: {accept}\r\n\r\n"
        self._members: list[tuple[Connection, Any]] = []
        for _ in range(processes):
            ours, theirs = _processes.Pipe()
            member = _processes.Process(
                target=watch,
                args=(theirs, (host, port), request.encode(), once, socket),
                daemon=True,
            )
            member.start()
            theirs.close()
            self._members.append((ours, member))

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for pipe, member in self._members:
            pipe.close()
            member.join(10)
            if member.is_alive():
                member.kill()

    @property
    def pids(self) -> list[int]:
        return [member.pid for _, member in self._members]

    def connect(self, count: int) -> None:
        """`count` more viewers, all at once."""
        for number, (pipe, _) in enumerate(self._members):
            share = count * (number + 1) // len(self._members)
            pipe.send(("connect", share - count * number // len(self._members)))

    def flow(self, arrivals: float, stay_s: float) -> None:
        """From now on new viewers at random, `arrivals` a second; each stays `stay_s`."""
        for pipe, _ in self._members:
            pipe.send(("flow", arrivals / len(self._members), stay_s))

    def mark(self) -> None:
        """Reports begin here."""
        for pipe, _ in self._members:
            pipe.send(("mark",))

    def deliveries(self) -> int:
        """Events that came since the mark, without those that a connection begins with."""
        for pipe, _ in self._members:
            pipe.send(("deliveries",))
        return sum(pipe.recv() for pipe, _ in self._members)

    def report(self) -> Report:
        """What was seen since the mark. Asking costs: it carries every change of every screen."""
        whole = Report()
        for pipe, _ in self._members:
            pipe.send(("report",))
        for pipe, _ in self._members:
            whole.add(pipe.recv())
        return whole

    def wait_ready(self, count: int, timeout_s: float) -> Report:
        """Until `count` viewers got their first event or failed. HoldfastError if they don't."""
        deadline = time.monotonic() + timeout_s
        while True:
            report = self.report()
            if report.ready + report.failed.total() >= count:
                return report
            if time.monotonic() > deadline:
                raise HoldfastError(
                    f"{report.ready} of {count} viewers are ready after {timeout_s:g} s"
                )
            time.sleep(0.1)
