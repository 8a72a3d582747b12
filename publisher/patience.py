"""How long a node may hold up the next step, from how long it took so far."""

from __future__ import annotations

LEAST_S, MOST_S = 0.15, 1.0


class Patience:
    """RFC 6298's timer: a smoothed time and four times its variation, within bounds. In s.

    A node that always answers in 5 ms and falls silent costs its neighbours' viewers 150 ms; a
    machine that is busy gets more, so that a purge is not overtaken only because all is slow.
    """

    def __init__(self) -> None:
        self.seconds = MOST_S
        self._smoothed: float | None = None
        self._variation = 0.0

    def note(self, took_s: float) -> None:
        """A node answered after `took_s`."""
        if self._smoothed is None:
            self._smoothed, self._variation = took_s, took_s / 2
        else:
            self._variation += (abs(self._smoothed - took_s) - self._variation) / 4
            self._smoothed += (took_s - self._smoothed) / 8
        self.seconds = min(MOST_S, max(LEAST_S, self._smoothed + 4 * self._variation))
