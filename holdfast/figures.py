"""The figures in Redis: reports of publishers, the newest overview, the last 15 minutes.

Nothing of it is state: a Redis that is wiped has it again within seconds, but for the past. Methods
raise UnavailableError when Redis can't be asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import redis

from holdfast.overview import SERIES, STALE_AFTER_S
from holdfast.state import available

PAST_POINTS = 900  # one a second
REPORT_MS = 3_500  # a publisher that says nothing for so long is not counted any more
WATCHED_S = 75  # longer than two renewals of a stream (RENEW_S)
RENEW_S = 30.0  # how often whoever watches has to prove that he may

_REPORT, _REPORTS = "figures:report:", "figures:reports"
_NOW, _PAST, _WATCHED = "figures:now", "figures:past", "figures:watched"


class Figures:
    """Written by publishers, read by origins."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    # -- publishers

    def report(self, slot: str, report: bytes) -> None:
        """What one publisher knows, until it says it again."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.set(_REPORT + slot, report, px=REPORT_MS)
        pipe.sadd(_REPORTS, slot)
        with available():
            pipe.execute()

    def reports(self) -> dict[str, bytes]:
        """What publishers say now, by their slots."""
        with available():
            slots: Any = self._redis.smembers(_REPORTS)
            names = sorted(slot.decode() for slot in slots)
            found: Any = self._redis.mget([_REPORT + slot for slot in names]) if names else []
            gone = [slot for slot, report in zip(names, found, strict=True) if report is None]
            if gone:
                self._redis.srem(_REPORTS, *gone)
        return {
            slot: report for slot, report in zip(names, found, strict=True) if report is not None
        }

    def publish(self, overview: bytes, point: Iterable[float | None]) -> bool:
        """Keep the newest overview, and its point of the charts; whether anybody watches."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.set(_NOW, overview, px=round(STALE_AFTER_S * 1000))
        pipe.lpush(_PAST, msgspec.json.encode(list(point)))
        pipe.ltrim(_PAST, 0, PAST_POINTS - 1)
        pipe.exists(_WATCHED)
        with available():
            return bool(pipe.execute()[-1])

    # -- origins

    def watched(self) -> None:
        """Somebody watches: the overview is to be published, too, for some time."""
        with available():
            self._redis.set(_WATCHED, 1, ex=WATCHED_S)

    def now(self) -> bytes | None:
        """The newest overview, None when nobody has made one lately."""
        with available():
            found: Any = self._redis.get(_NOW)
        return found  # type: ignore[no-any-return]

    def past(self) -> bytes:
        """JSON: `series` names what each of `points` holds, oldest first, the time (s) aside."""
        with available():
            points: Any = self._redis.lrange(_PAST, 0, PAST_POINTS - 1)
        return msgspec.json.encode(
            {"series": ["at", *SERIES], "points": [msgspec.Raw(each) for each in reversed(points)]}
        )
