"""Who may read what is private, and who may post (docs/access.md)."""

from __future__ import annotations

from collections.abc import Collection

from flask import Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from holdfast.access_tokens import Grant, Keys, SharedKey, TokenError, Verifier
from holdfast.config import Settings
from holdfast.errors import ConfigError
from holdfast.origins import host_of
from holdfast.topics import Topics
from holdfast.values import Rules, Values
from origin.operators import bearer, client_address
from origin.tickets import Tickets

COOKIE = "holdfast_access"
# Of tokens that nobody's key has signed, from one address, at one origin.
GUESSES = RateLimitItemPerMinute(20)


class Access:
    """Judges requests. verifier: of tokens, None = access is off, and nothing private is shown.

    open_post: updates of what is not private need no token. origins: other sites whose pages may
    post and read what is private. proxies: see operators.client_address.
    """

    def __init__(
        self,
        verifier: Verifier | None = None,
        tickets: Tickets | None = None,
        *,
        open_post: bool = False,
        origins: Collection[str] = (),
        proxies: int = 2,
    ) -> None:
        self.verifier = verifier
        self.tickets = tickets
        self._open_post = open_post
        self._origins = frozenset(origins)
        self._proxies = proxies
        # Here, not in Redis: updates are taken while Redis is away.
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    @classmethod
    def of(cls, settings: Settings, values: Values, topics: Topics) -> Access:
        """Raises ConfigError where something is private and nothing can tell who may read it."""
        key = settings.optional("jwt_key")
        private = topics.private or any(rules.private for rules in values.tables)
        if key is None and settings.jwt_jwks_url is None:
            if private:
                raise ConfigError(
                    "values.toml has something private; set HOLDFAST_JWT_KEY or "
                    "HOLDFAST_JWT_JWKS_URL"
                )
            return cls(origins=settings.allowed_origins, proxies=settings.proxies)
        secret = settings.optional("grip_key") or key
        if secret is None and private:
            raise ConfigError(
                "private streams need HOLDFAST_GRIP_KEY: it signs the tickets by which they recover"
            )
        return cls(
            Verifier(
                SharedKey(key) if key is not None else _published(settings.jwt_jwks_url or ""),
                settings.jwt_audience,
                settings.jwt_issuer,
                settings.jwt_leeway_s,
            ),
            Tickets(secret) if secret is not None else None,
            open_post=settings.jwt_open_post,
            origins=settings.allowed_origins,
            proxies=settings.proxies,
        )

    def post_needs_token(self, rules: Rules) -> bool:
        return rules.private or (self.verifier is not None and not self._open_post)

    def address(self, request: Request) -> str:
        return client_address(request, self._proxies)

    def names_token(self, request: Request) -> bool:
        """Whether it says who asks, rightly or not."""
        return bearer(request) is not None or bool(request.cookies.get(COOKIE))

    def grant(self, request: Request, *, cookies: bool = True) -> Grant:
        """What its token allows. Raises TokenError; UnavailableError where keys can't be had.

        cookies: whether one may carry it, which browsers send along for any site.
        """
        token = bearer(request)
        if token is None and cookies:
            token = request.cookies.get(COOKIE)
            if token:
                self.check_origin(request)
        if not token:
            raise TokenError("no token", "send a token: Authorization: Bearer")
        if self.verifier is None:
            raise TokenError("invalid", "no tokens are known here")
        address = self.address(request)
        if not self._limiter.test(GUESSES, address):
            raise TokenError("too many", "too many wrong tokens from this address")
        try:
            return self.verifier.grant(token)
        except TokenError as fault:
            if fault.reason == "invalid":
                self._limiter.hit(GUESSES, address)
            raise

    def retry_after_s(self, request: Request, now: float) -> int:
        """When an address that made too many guesses is listened to again."""
        window = self._limiter.get_window_stats(GUESSES, self.address(request))
        return max(1, round(window.reset_time - now))

    def check_origin(self, request: Request) -> None:
        """TokenError when a page of a site that is not allowed made a browser send this."""
        origin = request.headers.get("Origin")
        if origin is not None and not self._allowed(origin, request):
            raise TokenError("origin", "pages of this origin may not do that")

    def check_poster(self, request: Request) -> None:
        """The same, where sites are named that may post."""
        if self._origins:
            self.check_origin(request)

    def named_origin(self, request: Request) -> str | None:
        """The allowed site whose page asks; None = another's, or nobody's."""
        origin = request.headers.get("Origin")
        return origin if origin is not None and origin.lower() in self._origins else None

    def _allowed(self, origin: str, request: Request) -> bool:
        # By host alone: behind proxies nobody here knows the scheme and port that the client used.
        host = host_of(origin)
        own = host is not None and host == host_of(f"//{request.host}")
        return own or origin.lower() in self._origins


def _published(url: str) -> Keys:
    """An origin that asks nobody for keys starts sooner without an HTTP client."""
    from holdfast.jwks import Jwks

    return Jwks(url)
