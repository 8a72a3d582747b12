"""Purging edge nodes, with Fastly's API (https://www.fastly.com/documentation/reference/api/purging/)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from holdfast.formats import EVERYTHING
from publisher import metrics
from publisher.nodes import READ_TIMEOUT_S, Node, connect_timeout_s
from publisher.refusal import check

MAX_KEYS = 256  # Fastly refuses a batch of more
MAX_BYTES = 16_000  # and documents 16,384 for the header


class EdgeNode(Node[Sequence[tuple[str, int]]]):
    """One Varnish, or Fastly's API. Work: surrogate keys to purge, softly, and their versions.

    Fastly has no use for the versions; the stand-in chains its stale holds by them.
    """

    kind = "edge"
    counter = metrics.PURGES

    def __init__(
        self, url: str, service: str, token: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(url, clock)
        self._purge_url = f"{url}/service/{service}/purge"
        self.session.headers.update(
            {"Fastly-Key": token, "Fastly-Soft-Purge": "1", "Accept": "application/json"}
        )

    def send(self, work: Sequence[tuple[str, int]]) -> None:
        for batch in batches(work):
            headers = {
                "Surrogate-Key": " ".join(key for key, _ in batch),
                "Holdfast-Versions": " ".join(f"{key}={version}" for key, version in batch),
            }
            self._post(self._purge_url, headers)

    def owe(self, work: Sequence[tuple[str, int]]) -> None:
        """Nothing to remember: whatever was missed, one purge of everything settles it."""

    def settle(self) -> None:
        # Not purge_all: at Fastly that is never soft, and the edge would have no copy to show if
        # the origin is away, too.
        self._post(self._purge_url, {"Surrogate-Key": EVERYTHING})

    def welcome(self) -> None:
        """It may have a cache from before, or have filled one before it was found."""
        self.failing = True
        self.tally.owes(True)
        metrics.NODE_OWED.labels(self.url).set(1)

    def count(self, result: str) -> None:
        metrics.PURGES.labels(self.url, result).inc()

    def _post(self, url: str, headers: dict[str, str]) -> None:
        answer = self.session.post(
            url,
            headers=headers,
            timeout=(connect_timeout_s(url), READ_TIMEOUT_S),
            allow_redirects=False,
        )
        check(answer)


def batches(work: Sequence[tuple[str, int]]) -> Iterator[Sequence[tuple[str, int]]]:
    """`work` in parts that Fastly takes in one request."""
    start = size = 0
    for end, (key, _) in enumerate(work):
        if end - start == MAX_KEYS or size + len(key) > MAX_BYTES:
            yield work[start:end]
            start, size = end, 0
        size += len(key) + 1
    if work[start:]:
        yield work[start:]
