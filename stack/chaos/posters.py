"""Posters: send updates at a rate, each with a key of its own, until it is acknowledged."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Sequence

import httpx

TIMEOUT_S = 6.0  # the service gives its verdict within 4 s
RETRY_MOST_S = 1.0
POSTERS = 40
HEAVIEST = 2**31


class Posters:
    """Together `rate` updates per second over `names`.

    All add 1, but the last name gets random amounts: there a loss and a double can't cancel out.
    acknowledged, updates: sums and counts by name of what was answered 202.
    """

    def __init__(self, base: str, names: Sequence[str], rate: float) -> None:
        self._base = base
        self._names = names
        self._rate = rate
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._client = httpx.AsyncClient(
            base_url=base,
            timeout=TIMEOUT_S,
            trust_env=False,
            limits=httpx.Limits(max_connections=POSTERS, max_keepalive_connections=POSTERS),
        )
        self.acknowledged: Counter[str] = Counter()
        self.updates: Counter[str] = Counter()
        self.retries = 0
        self.refused: Counter[int] = Counter()

    @property
    def count(self) -> int:
        """Acknowledged updates, of all names."""
        return self.updates.total()

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._post()) for _ in range(POSTERS)]

    async def stop(self, timeout_s: float) -> int:
        """Send nothing new; how many updates were still not acknowledged at the end."""
        self._stopping.set()
        _, unanswered = await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in unanswered:
            task.cancel()
        await self._client.aclose()
        return len(unanswered)

    async def _post(self) -> None:
        while not self._stopping.is_set():
            await asyncio.sleep(random.expovariate(self._rate / POSTERS))
            if not self._stopping.is_set():
                await self._add(random.choice(self._names))  # noqa: S311

    async def _add(self, name: str) -> None:
        amount = random.randint(1, HEAVIEST) if name == self._names[-1] else 1  # noqa: S311
        key = str(uuid.uuid4())
        while True:
            try:
                answer = await self._client.post(
                    f"/values/{name}", json={"add": amount}, headers={"Idempotency-Key": key}
                )
                if answer.status_code == 202:
                    break
                self.refused[answer.status_code] += 1
            except httpx.HTTPError:
                self.refused[0] += 1
            self.retries += 1
            await asyncio.sleep(random.uniform(0.05, RETRY_MOST_S))  # noqa: S311
        self.acknowledged[name] += amount
        self.updates[name] += 1
