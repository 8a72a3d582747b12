"""Viewers over WebSockets, beside those that hold streams."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from stack.chaos.viewers import CONNECT_S, SILENCE_S, Viewer


class SocketViewer(Viewer):
    """Knows versions, so it passes over what docs/websocket.md, "Versions", lets come again."""

    async def _hold(self) -> None:
        base = str(self.client.base_url).rstrip("/").replace("http", "ws", 1)
        try:
            async with connect(
                f"{base}/values/{self.name}", open_timeout=CONNECT_S, proxy=None
            ) as connection:
                self.connections += 1
                # What was on its way before the connection began may still come.
                beginning = True
                self._hear(await _message(connection), beginning)
                while True:
                    message = await _message(connection)
                    beginning = not self._hear(message, beginning) and beginning
        except (WebSocketException, OSError) as error:
            raise ValueError(str(error)) from error

    def _hear(self, message: dict[str, Any], beginning: bool) -> bool:
        """Whether it is news."""
        self._failures = 0
        if message["type"] != "value":
            self.violations.append(f"{self.name}: {message}")
            return False
        known = self._version if self._version is not None else -1
        news: bool = message["version"] > known
        repeat = message["version"] == known and "confirm" in message
        if news or not (beginning or repeat):
            self._note(message["version"], message["value"])
        return news


async def _message(connection: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(SILENCE_S):
        message: dict[str, Any] = json.loads(await connection.recv())
        return message
