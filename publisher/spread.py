"""How far apart the edges are: from the first one's answer to a purge to the last one's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from publisher import metrics


class Spread:
    """Notes when each of `purges` was answered; counts the spread once all of them were attempted.

    Nodes that failed have no answer, and a purge that only one edge took has no spread.
    """

    def __init__(
        self, purges: Sequence[Future[bool]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._left = len(purges)
        self._clock = clock
        self._times: list[float] = []
        self._lock = threading.Lock()
        for purge in purges:
            purge.add_done_callback(self._done)

    def _done(self, purge: Future[bool]) -> None:
        now = self._clock()
        with self._lock:
            self._left -= 1
            if purge.result():
                self._times.append(now)
            if not self._left and len(self._times) > 1:
                metrics.PURGE_SPREAD.observe(max(self._times) - min(self._times))
