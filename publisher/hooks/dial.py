"""Connects to a webhook's receiver: its name is resolved once, judged, and that address dialled.

Between a check of a name and a connection to it, its owner could let it point elsewhere (DNS
rebinding). So nobody resolves it again: what is connected to is the very address that was judged.
Names in certificates are checked all the same: TLS is told the name.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from holdfast.errors import HoldfastError
from holdfast.hook_guard import Guard

CONNECT_S = 4.0  # for each of a name's addresses


class ForbiddenTargetError(HoldfastError):
    """The guard lets nothing go there."""


class Deadline:
    """By when a request has to be over, whatever its receiver does. clock: s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = 0.0

    def start(self, within_s: float) -> None:
        self._at = self._clock() + within_s

    def left_s(self) -> float:
        """Raises httpcore.ReadTimeout when nothing is left."""
        left = self._at - self._clock()
        if left <= 0:
            raise httpcore.ReadTimeout("no answer in time")
        return left


class GuardedBackend(httpcore.NetworkBackend):
    """httpcore's network, which leads to permitted addresses only. secure: by https."""

    def __init__(self, guard: Guard, deadline: Deadline, *, secure: bool) -> None:
        self._guard = guard
        self._deadline = deadline
        self._secure = secure
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Raises ForbiddenTargetError, OSError or UnicodeError (the name), httpcore's errors."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        faults = [self._guard.fault(address, secure=self._secure) for address in addresses]
        permitted = [
            address for address, fault in zip(addresses, faults, strict=True) if fault is None
        ]
        if not permitted:
            raise ForbiddenTargetError(next(filter(None, faults), f"{host} has no address"))
        for address in permitted[:-1]:
            try:
                return self._connect(address, port, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue  # the next one
        return self._connect(permitted[-1], port, socket_options)

    def _connect(
        self, address: str, port: int, socket_options: Iterable[Any] | None
    ) -> httpcore.NetworkStream:
        stream = self._network.connect_tcp(
            address,
            port,
            timeout=min(CONNECT_S, self._deadline.left_s()),
            socket_options=socket_options,
        )
        return _Stream(stream, self._deadline)


class _Stream(httpcore.NetworkStream):
    """A connection on which nothing lasts beyond the deadline, drop by drop or not."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left_s())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left_s())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left_s = self._deadline.left_s()
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left_s), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
