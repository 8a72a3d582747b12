"""Who may operate: named bearer tokens, compared in constant time, with few guesses a minute."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping

import redis
from flask import Request
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter

from holdfast.state import available

WRONG_TOKENS = RateLimitItemPerMinute(10)


class Operators:
    """Knows operators by their tokens, and counts wrong ones per address in Redis."""

    def __init__(self, tokens: Mapping[str, str], client: redis.Redis) -> None:
        self._digests = {name: _digest(token) for name, token in tokens.items()}
        storage = RedisStorage("redis://", connection_pool=client.connection_pool)
        self._limiter = FixedWindowRateLimiter(storage)

    def who(self, token: str) -> str | None:
        """Whose token it is, None = nobody's. Takes as long whichever it is."""
        digest, found = _digest(token), None
        for name, other in self._digests.items():
            if hmac.compare_digest(digest, other):
                found = name
        return found

    def locked_out_s(self, address: str) -> int:
        """How long nobody from there is listened to, s: too many wrong tokens; 0 = at once."""
        with available():
            if self._limiter.test(WRONG_TOKENS, "wrong token", address):
                return 0
            reset_at = self._limiter.get_window_stats(
                WRONG_TOKENS, "wrong token", address
            ).reset_time
        return max(1, round(reset_at - time.time()))

    def note_wrong(self, address: str) -> None:
        """A wrong token came from there."""
        with available():
            self._limiter.hit(WRONG_TOKENS, "wrong token", address)


def bearer(request: Request) -> str | None:
    """The token of `Authorization: Bearer ...` (RFC 6750), None without one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def client_address(request: Request, proxies: int) -> str:
    """Who is connected to the outermost of the proxies that stand between clients and here.

    Each adds the address of who is connected to it; what a client claims stands before those.
    """
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    if 0 < proxies <= len(hops) and hops[-proxies]:
        return hops[-proxies]
    return request.remote_addr or "unknown"


def _digest(token: str) -> bytes:
    """Of one length, whatever the token's."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
