"""How long to wait before the next attempt. Full jitter: not everybody may come back at once."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


class Backoff:
    """Between 0 and `first_s` after one failure, then twice as long each time, up to `most_s`."""

    def __init__(self, first_s: float = 0.25, most_s: float = 15.0) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._failures = 0

    def next_s(self, at_least_s: float = 0.0) -> float:
        """at_least_s: what the server asked for; the jitter comes on top of that."""
        longest_s = min(self._most_s, self._first_s * 2.0 ** min(self._failures, 60))
        self._failures += 1
        return at_least_s + random.uniform(0.0, longest_s)  # noqa: S311 - no secret

    def reset(self) -> None:
        self._failures = 0


def retry_after_s(field: str | None, most_s: float = 60.0) -> float:
    """Seconds of a `Retry-After` (RFC 9110, 10.2.3), at most `most_s`; 0: there is none."""
    if not field:
        return 0.0
    try:
        seconds = float(int(field))
    except ValueError:
        try:
            moment = parsedate_to_datetime(field)
        except ValueError:
            return 0.0
        seconds = (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), most_s)
