"""One deployment, by its public HTTP API: requests, and streams that are held."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 20.0


class SmokeError(Exception):
    """What was looked at is not as it should be."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise SmokeError(f"status {self.status}, and not JSON: {self.body[:80]!r}") from None


class Site:
    """url: of the front door. ca: a file with certificates to trust besides the system's own."""

    def __init__(self, url: str, ca: str | None = None) -> None:
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError(f"{url} does not begin with http:// or https:// and a host")
        self._secure = address.scheme == "https"
        self._host, self._port = address.hostname, address.port
        self.path = address.path.rstrip("/")
        self._tls = ssl.create_default_context(cafile=ca) if self._secure else None

    def connect(self) -> http.client.HTTPConnection:
        if self._tls:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=TIMEOUT_S, context=self._tls
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own. Raises OSError, HTTPException."""
        connection = self.connect()
        try:
            connection.request(method, self.path + path, body, dict(headers or {}))
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()

    def snapshot(self, name: str) -> dict[str, Any]:
        answer = self.ask(f"/values/{name}")
        if answer.status != 200:
            raise SmokeError(f"status {answer.status} instead of 200")
        snapshot: dict[str, Any] = answer.json()
        if not {"name", "value", "version"} <= snapshot.keys():
            raise SmokeError(f"not a snapshot: {answer.body[:120]!r}")
        return snapshot

    def add(self, name: str, number: int) -> Answer:
        """POST an update; under a key of its own, so that a retry would not count twice."""
        body = json.dumps({"add": number}).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": secrets.token_hex(16)}
        return self.ask(f"/values/{name}", "POST", body, headers)

    def hold(self, path: str, headers: Mapping[str, str] | None = None) -> Stream:
        connection = self.connect()
        connection.request("GET", self.path + path, headers=dict(headers or {}))
        return Stream(connection)


class Listener:
    """What tells of itself, as it comes, on `_socket`. newest: what it told last."""

    _socket: socket.socket
    newest: dict[str, Any]

    def until(self, happened: Callable[[], bool], what: str, within_s: float = TIMEOUT_S) -> None:
        """Read until it happened. SmokeError when it did not within `within_s`."""
        deadline = time.monotonic() + within_s
        while not happened():
            left_s = deadline - time.monotonic()
            try:
                if left_s <= 0:
                    raise TimeoutError
                self._socket.settimeout(left_s)
                self._take()
            except TimeoutError:
                raise SmokeError(f"not within {within_s:g} s: {what}") from None

    def _take(self) -> None:
        """Read what comes next. TimeoutError when nothing does, SmokeError when nothing can."""
        raise NotImplementedError


class Stream(Listener):
    """One held answer. newest: what it told last, a snapshot or a line of /stream."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        # The answer closes the connection, as far as http.client is concerned, but not the socket.
        self._socket = connection.sock
        self._answer = connection.getresponse()
        self.comments = 0
        self.versions: list[int] = []
        self.newest: dict[str, Any] = {}
        if self._answer.status != 200:
            raise SmokeError(f"status {self._answer.status} instead of 200")

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._answer.close()
        self._connection.close()

    def _take(self) -> None:
        line = self._answer.readline()
        if not line:
            raise SmokeError("the stream ended")
        text = line.decode().rstrip("\r\n")
        data = text.removeprefix("data:")
        # A blank line is how an event ends, and how /stream says that it is there.
        if text.startswith(":"):
            self.comments += 1
        elif data != text or text.startswith("{"):
            self.newest = json.loads(data)
            if "version" in self.newest:
                self.versions.append(self.newest["version"])
