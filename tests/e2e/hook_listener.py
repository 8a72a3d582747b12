"""A webhook for as long as somebody listens, and what it was sent."""

from __future__ import annotations

from typing import Any

from stack.stack import Stack
from tests.e2e.viewers import until
from tests.receiver import Receiver


class HookListener:
    """One value's webhook, with a receiver of its own."""

    def __init__(self, stack: Stack, name: str) -> None:
        self._desk = stack.desk
        self._name = name
        self._receiver = Receiver()
        self._id = ""

    def start(self) -> HookListener:
        body = {"url": self._receiver.url, "values": self._name, "secret": self._receiver.secret}
        self._id = self._desk.call("POST", "webhooks", body).body["id"]
        return self

    def close(self) -> None:
        if self._id:
            self._desk.call("DELETE", f"webhooks/{self._id}")
        self._receiver.close()

    def wait_connected(self) -> None:
        until(lambda: self.versions, "the newest release", 30)

    def assert_increasing(self) -> None:
        self._receiver.assert_increasing(self._name)

    @property
    def failures(self) -> list[str]:
        """What the library's verifier did not believe."""
        return self._receiver.failures

    @property
    def versions(self) -> list[int]:
        return self._receiver.versions(self._name)

    @property
    def values(self) -> list[Any]:
        return [release["value"] for release in self._receiver.releases]
