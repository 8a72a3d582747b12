"""Viewers of /stream: the default value as lines of text, without ids."""

from __future__ import annotations

import json
from typing import Any

from holding import HoldingUser
from locust.exception import StopUser
from promises import Violation


class TextViewer(HoldingUser):
    """Reads lines. /stream shows the default value: it watches only if that is `--value`."""

    weight = 1
    content_type = "text/plain"
    path = "/stream"

    def begin(self) -> None:
        options = self.environment.parsed_options
        if options.value != options.default_value:
            raise StopUser
        self.value: Any = None

    def headers(self) -> dict[str, str]:
        return {}

    def open(self, *, returning: bool) -> None:
        self._rest = b""

    def take(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line:  # an empty one is a heartbeat
                self._line(line)

    def _line(self, line: bytes) -> None:
        live = self.came()
        try:
            value = json.loads(line)["data"]
        except (ValueError, KeyError, TypeError) as error:
            self.report("line", None, Violation(f"unreadable: {error!r}"))
            return
        fault = None
        # Posters only add: a sum that falls has gone back, one that stays came twice.
        if self.value is not None and value < self.value:
            fault = Violation("a value that is older than the one before")
        elif live and value == self.value:
            fault = Violation("the same value again")
        self.report("line", None, fault, len(line))
        self.value = value if self.value is None else max(self.value, value)

    def shows(self, final: dict[str, object]) -> bool:
        return bool(self.value == final["value"])
