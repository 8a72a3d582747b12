"""A WebSocket (RFC 6455), as far as listening goes."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any

from holdfast.smoke.site import Listener, Site, SmokeError

TEXT = 0x81  # a whole text message, not masked: what servers send
SHORT, LONG = 126, 127


class WebSocket(Listener):
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
