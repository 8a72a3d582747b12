"""Mends the chain of viewers that were served while the origin was down.

The edge subscribed them to the channel `stale` and left the chain out. Once an origin is ready,
a hint there makes Pushpin recover them, at its own pace; a hint that nobody waits for costs
nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import requests

log = logging.getLogger(__name__)

INTERVAL_S = 2.0


class StaleHints(threading.Thread):
    """Every 2 s, while `leads()` and while some origin is ready: hint."""

    def __init__(
        self,
        origin_urls: Callable[[], Sequence[str]],
        leads: Callable[[], bool],
        hint: Callable[[], None],
        stopping: threading.Event,
    ) -> None:
        super().__init__(name="stale hints", daemon=True)
        self._origin_urls = origin_urls
        self._leads = leads
        self._hint = hint
        self._stopping = stopping
        self._session = requests.Session()
        self._session.trust_env = False

    def run(self) -> None:
        while not self._stopping.wait(INTERVAL_S):
            if self._leads() and any(self._ready(url) for url in self._origin_urls()):
                self._hint()

    def _ready(self, url: str) -> bool:
        try:
            return self._session.get(f"{url}/health/ready", timeout=(0.5, 1.0)).ok
        except requests.RequestException as error:
            log.debug("origin %s is not ready: %s", url, error)
            return False
