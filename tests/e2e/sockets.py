"""WebSocket clients that know nothing but docs/websocket.md, on the library `websockets`."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.e2e.viewers import until


class Socket:
    """One connection; a thread notes what comes. path: /ws, or /values/{name}."""

    def __init__(self, base: str, path: str = "/ws", **options: Any) -> None:
        self._open = ExitStack()
        self.connection: ClientConnection = self._open.enter_context(
            connect(base.replace("http", "ws", 1) + path, open_timeout=20, **options)
        )
        self.messages: list[dict[str, Any]] = []
        self.closed: ConnectionClosed | None = None
        self._ids = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._thread.join(10)

    # -- saying

    def say(self, **message: Any) -> None:
        self.connection.send(json.dumps(message, ensure_ascii=False))

    def ask(self, **message: Any) -> dict[str, Any]:
        """The first answer to the message."""
        self._ids += 1
        self.say(id=self._ids, **message)
        return self.answers(self._ids)[0]

    def answers(self, id_: int, count: int = 1) -> list[dict[str, Any]]:
        """All answers with this id, once there are `count` of them."""

        def found() -> list[dict[str, Any]] | None:
            matching = [message for message in self.messages if message.get("id") == id_]
            return matching if len(matching) >= count else None

        result: list[dict[str, Any]] = until(found, f"{count} answers to {id_}", 30)
        return result

    # -- what it heard

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == type_]

    def shown(self, name: str) -> list[dict[str, Any]]:
        """The values of one name, confirms aside."""
        return [it for it in self.of("value") if it["name"] == name and "confirm" not in it]

    def confirms(self, name: str) -> list[dict[str, Any]]:
        return [it for it in self.of("value") if it["name"] == name and "confirm" in it]

    def newest(self, name: str) -> dict[str, Any] | None:
        """What a client that looks at no versions shows."""
        values = [it for it in self.of("value") if it["name"] == name]
        return values[-1] if values else None

    def wait_for(self, name: str, value: Any, timeout_s: float = 20.0) -> None:
        until(
            lambda: (newest := self.newest(name)) is not None and newest["value"] == value,
            f"{name} at {value}",
            timeout_s,
        )

    def wait_shown(self, name: str) -> dict[str, Any]:
        result: dict[str, Any] = until(lambda: self.newest(name), f"a first {name}")
        return result

    def assert_increasing(self, name: str) -> None:
        """Of all that was shown: releases one by one, confirms of what was there already or not."""
        versions = [it["version"] for it in self.of("value") if it["name"] == name]
        assert all(a <= b for a, b in pairwise(versions)), versions
        versions = [it["version"] for it in self.shown(name)]
        assert all(a < b for a, b in pairwise(versions)), versions

    # -- the thread

    def _run(self) -> None:
        try:
            for text in self.connection:
                heard = json.loads(text)
                self.messages.extend(heard if isinstance(heard, list) else [heard])
        except ConnectionClosed as closed:
            self.closed = closed


class SocketListener:
    """Watches one value over a WebSocket of its own, anew whenever that ends."""

    def __init__(self, base: str, name: str) -> None:
        self._base = base
        self._path = f"/values/{name}"
        self.shown: list[dict[str, Any]] = []
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._connection: ClientConnection | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> SocketListener:
        self._thread.start()
        return self

    def close(self) -> None:
        self._stop.set()
        if self._connection is not None:
            self._connection.close()
        self._thread.join(10)

    @property
    def versions(self) -> list[int]:
        return [message["version"] for message in self.shown]

    @property
    def values(self) -> list[Any]:
        return [message["value"] for message in self.shown]

    def assert_increasing(self) -> None:
        assert all(a < b for a, b in pairwise(self.versions)), self.versions

    def wait_connected(self) -> SocketListener:
        until(lambda: self.shown or self.failures, f"a first value on {self._path}")
        assert not self.failures, self.failures
        return self

    # -- the thread

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except (WebSocketException, OSError) as error:
                if not self._stop.is_set():
                    self.failures.append(repr(error))
            self._stop.wait(0.2)

    def _listen(self) -> None:
        with connect(self._base.replace("http", "ws", 1) + self._path) as self._connection:
            # A connection begins with the newest release, and what was on its way to it before that
            # still comes (docs/websocket.md, Versions).
            beginning = True
            for number, text in enumerate(self._connection):
                message = json.loads(text)
                assert message["type"] == "value", message
                newer = not self.shown or message["version"] > self.versions[-1]
                if newer:
                    beginning = number == 0
                elif beginning or (
                    "confirm" in message and message["version"] == self.versions[-1]
                ):
                    continue
                self.shown.append(message)
