"""Purging edge nodes, with Fastly's API (https://www.fastly.com/documentation/reference/api/purging/)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from publisher import metrics
from publisher.nodes import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Node

MAX_KEYS = 256  # Fastly refuses a batch of more


class EdgeNode(Node[Sequence[tuple[str, int]]]):
    """One Varnish, or Fastly's API. Work: surrogate keys to purge, softly, and their versions.

    Fastly has no use for the versions; the stand-in chains its stale holds by them.
    """

    kind = "edge"

    def __init__(
        self, url: str, service: str, token: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(url, clock)
        self._purge_url = f"{url}/service/{service}/purge"
        self.session.headers.update(
            {"Fastly-Key": token, "Fastly-Soft-Purge": "1", "Accept": "application/json"}
        )

    def send(self, work: Sequence[tuple[str, int]]) -> None:
        for start in range(0, len(work), MAX_KEYS):
            batch = work[start : start + MAX_KEYS]
            headers = {
                "Surrogate-Key": " ".join(key for key, _ in batch),
                "Holdfast-Versions": " ".join(f"{key}={version}" for key, version in batch),
            }
            self._post(self._purge_url, headers)

    def owe(self, work: Sequence[tuple[str, int]]) -> None:
        """Nothing to remember: whatever was missed, one purge of everything settles it."""

    def settle(self) -> None:
        self._post(f"{self._purge_url}_all", {})

    def count(self, result: str) -> None:
        metrics.PURGES.labels(self.url, result).inc()

    def _post(self, url: str, headers: dict[str, str]) -> None:
        answer = self.session.post(
            url, headers=headers, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        )
        answer.raise_for_status()
