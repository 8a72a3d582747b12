"""Viewers: hold a stream as the page does, come back as it does, and note every broken promise."""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

import httpx
from httpx_sse import EventSource, ServerSentEvent

# As in origin/static/backoff.js and request.js.
BACKOFF_S = (0.25, 15.0)
CONNECT_S = 15.0
SILENCE_S = 45.0


@dataclass
class Viewer:
    """One viewer of one value. releases: (time.monotonic(), version, value) as they came."""

    client: httpx.AsyncClient
    name: str
    releases: list[tuple[float, int, int]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    resets: int = 0
    connections: int = 0

    def __post_init__(self) -> None:
        self._version: int | None = None
        self._value: int | None = None
        self._failures = 0

    @property
    def value(self) -> int | None:
        """What is on the screen."""
        return self._value

    def longest_silence_s(self, start: float, end: float) -> float:
        """The longest time between two releases from `start` to `end`."""
        times = [at for at, _, _ in self.releases if start <= at <= end]
        ends = [start, *times, end]
        return max(b - a for a, b in pairwise(ends))

    def first_after(self, moment: float) -> float | None:
        """When the first release after `moment` came."""
        return next((at for at, _, _ in self.releases if at > moment), None)

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            # Whatever it was, the page too just comes back.
            with suppress(TimeoutError, httpx.HTTPError, ValueError):
                await self._hold()
            most = min(BACKOFF_S[1], BACKOFF_S[0] * 2**self._failures)
            self._failures = min(self._failures + 1, 10)
            await asyncio.sleep(random.uniform(0, most))  # noqa: S311

    async def _hold(self) -> None:
        path = f"/values/{self.name}?as=sse"
        if self._version is not None:
            path += f"&after={self._version}"
        timeout = httpx.Timeout(CONNECT_S, read=SILENCE_S)
        async with self.client.stream("GET", path, timeout=timeout) as answer:
            if answer.status_code != 200:
                raise ValueError(answer.status_code)
            self.connections += 1
            async for event in EventSource(answer).aiter_sse():
                self._failures = 0
                self._take(event)

    def _take(self, event: ServerSentEvent) -> None:
        if not event.data:  # a comment; httpx-sse makes an event of it once an id was seen
            return
        if event.event == "reset":
            self.resets += 1
            self._version = self._value = None
            return
        data = json.loads(event.data)
        self._note(data["version"], data["value"])

    def _note(self, version: int, value: int) -> None:
        if self._version is not None and version <= self._version:
            self.violations.append(f"{self.name}: version {version} after {self._version}")
        if self._value is not None and value < self._value:
            self.violations.append(f"{self.name}: value {value} after {self._value}")
        self._version, self._value = version, value
        self.releases.append((time.monotonic(), version, value))
