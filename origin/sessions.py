"""An operator's session at the console: a signed cookie, and what is derived from it.

Signed by a key that is made of all operators' tokens: every origin knows it, and who changes a
token ends every session. Nothing is kept but which sessions were ended early.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import redis
from flask import Request, Response
from itsdangerous import BadSignature, URLSafeSerializer

from holdfast.state import available

COOKIE = "holdfast_console"
SESSION_S = 12 * 3600
TICKET_S = 180  # some renewals of a stream
CSRF_HEADER = "X-CSRF-Token"

_ENDED = "console:ended:"


@dataclass(frozen=True, slots=True)
class Session:
    """who: the operator. until: since 1970, s."""

    who: str
    id: str
    until: float


class ForgedError(Exception):
    """A cookie that was not made here, or with other tokens."""


class Sessions:
    """wall: s since 1970. Methods that look at ended sessions raise UnavailableError."""

    def __init__(
        self,
        tokens: Mapping[str, str],
        client: redis.Redis,
        wall: Callable[[], float] = time.time,
    ) -> None:
        digests = sorted(hashlib.sha256(token.encode()).digest() for token in tokens.values())
        self._key = hashlib.sha256(b"holdfast console\0" + b"".join(digests)).digest()
        self._cookies = URLSafeSerializer(self._key, salt="session")
        self._tickets = URLSafeSerializer(self._key, salt="stream")
        self._operators = frozenset(tokens)
        self._redis = client
        self._wall = wall

    def begin(self, who: str) -> Session:
        return Session(who, secrets.token_urlsafe(12), self._wall() + SESSION_S)

    def set_cookie(self, answer: Response, session: Session, *, secure: bool) -> None:
        """Let the browser show the session: to this site only, and never to scripts."""
        answer.set_cookie(
            COOKIE,
            self._cookies.dumps([session.who, session.id, round(session.until)]),
            max_age=SESSION_S,
            secure=secure,
            httponly=True,
            samesite="Strict",
        )

    def of(self, request: Request) -> Session | None:
        """Whose session the request's cookie shows; None without one, or when it is over.

        Raises ForgedError.
        """
        cookie = request.cookies.get(COOKIE)
        return None if not cookie else self._open(self._cookies, cookie, None)

    def end(self, session: Session) -> None:
        """From now on nobody is listened to who shows it."""
        left_s = max(1, round(session.until - self._wall()))
        with available():
            self._redis.set(_ENDED + session.id, 1, ex=left_s)

    def csrf_token(self, session: Session) -> str:
        """What a change has to name: no other site's page knows it."""
        return hmac.new(self._key, b"csrf\0" + session.id.encode(), "sha256").hexdigest()

    def is_own(self, session: Session, request: Request) -> bool:
        """Whether a change comes from the console itself."""
        token = request.headers.get(CSRF_HEADER, "")
        # Compared as bytes: of text, compare_digest takes ASCII only.
        known = hmac.compare_digest(token.encode(), self.csrf_token(session).encode())
        return known and same_site(request)

    def ticket(self, session: Session) -> str:
        """Stands for the session in a URL that only the edge gets to see, for a short time."""
        now = round(self._wall())
        return str(self._tickets.dumps([session.who, session.id, round(session.until), now]))

    def of_ticket(self, ticket: str) -> Session | None:
        """The session that it stands for; None when either is over. Raises ForgedError."""
        return self._open(self._tickets, ticket, TICKET_S)

    def _open(self, signer: URLSafeSerializer, text: str, age_s: float | None) -> Session | None:
        try:
            who, id, until, *made = signer.loads(text)
        except BadSignature as error:
            raise ForgedError from error
        now = self._wall()
        if until <= now or who not in self._operators:
            return None
        if age_s is not None and made[0] + age_s <= now:
            return None
        with available():
            ended: Any = self._redis.exists(_ENDED + id)
        return None if ended else Session(who, id, until)


def same_site(request: Request) -> bool:
    """Whether no other site's page sent the request, as far as the browser says.

    Over plain HTTP to another machine browsers say Origin alone. Ports are not compared: nginx
    keeps them from us, and to cookies they make no difference either.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).hostname == urlsplit(f"//{request.host}").hostname


def is_secure(request: Request) -> bool:
    """Whether it came over TLS, as the front door says."""
    return request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
