"""A WebSocket (RFC 6455), as far as listening goes."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from holdfast.smoke.site import TIMEOUT_S, Site, SmokeError

TEXT = 0x81  # a whole text message, not masked: what servers send
SHORT, LONG = 126, 127


class WebSocket:
    """Shows one value. newest: the snapshot that it told last."""

    def __init__(self, site: Site, name: str) -> None:
        self._connection = site.connect()
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key,
        }
        self._connection.request("GET", f"{site.path}/values/{name}", headers=headers)
        self._socket = self._connection.sock
        # Not by http.client: it may read more than the answer's head, and what it read is lost.
        self._read = self._socket.makefile("rb")
        status = self._read.readline().decode()
        if " 101 " not in status:
            raise SmokeError(f"{status.strip()!r} instead of 101")
        while self._read.readline().strip():
            pass
        self.newest: dict[str, Any] = {}

    def close(self) -> None:
        self._read.close()
        self._connection.close()

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
        kind, length = self._exactly(2)
        if length == SHORT:
            length = int.from_bytes(self._exactly(2))
        elif length == LONG:
            length = int.from_bytes(self._exactly(8))
        body = self._exactly(length)
        if kind != TEXT:
            return
        said = json.loads(body)
        for message in said if isinstance(said, list) else [said]:
            if message.get("type") == "value":
                self.newest = message

    def _exactly(self, count: int) -> bytes:
        data = self._read.read(count)
        if len(data) < count:
            raise SmokeError("the WebSocket ended")
        return data
