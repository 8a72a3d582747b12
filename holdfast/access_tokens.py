"""Tokens of readers and posters: JWTs (RFC 7519, checked as RFC 8725 advises) with what they allow.

    {"aud": "holdfast", "exp": 1764003600,
     "holdfast": {"read": ["price.*"], "write": ["counter"], "events": ["orders"]}}

An entry is a name, or the beginning of names with `*` at its end. `read` and `write` are values,
`events` topics; what is absent allows nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import jwt

LONGEST_BYTES = 4096
LONGEST_PATTERNS = 100
CLAIM = "holdfast"
Right = Literal["read", "write", "events"]
# Of Holdfast's own making; also the labels of holdfast_refused_total.
REASONS = (
    *("no token", "invalid", "expired", "not yet", "audience", "issuer"),
    *("scope", "origin", "too many", "ticket"),
)


class TokenError(Exception):
    """The token lets nobody in. `reason` is one of REASONS; nothing here shows the token."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Keys(Protocol):
    """Where the keys that tokens are signed with come from."""

    def candidates(self, key_id: str | None) -> Sequence[tuple[Any, str]]:
        """Keys that a token naming `key_id` may be signed with, each with its one algorithm."""


class SharedKey:
    """A secret that whoever makes tokens has, too. Only HS256."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def candidates(self, key_id: str | None) -> Sequence[tuple[Any, str]]:
        return ((self._key, "HS256"),)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows. expires_at: s since 1970, leeway included. id: tells tokens apart."""

    read: tuple[str, ...]
    write: tuple[str, ...]
    events: tuple[str, ...]
    expires_at: float
    id: str

    def allows(self, right: Right, name: str) -> bool:
        patterns: tuple[str, ...] = getattr(self, right)
        return any(
            name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
            for pattern in patterns
        )


class Verifier:
    """Reads tokens. audience, issuer: what they must name, issuer None = any. leeway_s: how far
    clocks may be apart.
    """

    def __init__(
        self, keys: Keys, audience: str, issuer: str | None = None, leeway_s: float = 0
    ) -> None:
        self._keys = keys
        self._audience = audience
        self._issuer = issuer
        self._leeway_s = leeway_s

    def grant(self, token: str) -> Grant:
        """What `token` allows now. Raises TokenError; UnavailableError where keys can't be had."""
        if len(token) > LONGEST_BYTES:
            raise TokenError("invalid", "the token is too long")
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
        except (jwt.PyJWTError, ValueError):
            raise TokenError("invalid", "the token is none") from None
        fault = TokenError("invalid", "no key of ours signed the token")
        for key, algorithm in self._keys.candidates(key_id if isinstance(key_id, str) else None):
            try:
                claims = self._claims(token, key, algorithm)
            except jwt.InvalidSignatureError:
                continue
            except jwt.ExpiredSignatureError:
                raise TokenError("expired", "the token has expired") from None
            except jwt.ImmatureSignatureError:
                raise TokenError("not yet", "the token does not count yet") from None
            except jwt.InvalidAudienceError:
                raise TokenError("audience", "the token is for another audience") from None
            except jwt.InvalidIssuerError:
                raise TokenError("issuer", "the token is from another issuer") from None
            except jwt.MissingRequiredClaimError as error:
                reason = "audience" if error.claim == "aud" else "invalid"
                reason = "issuer" if error.claim == "iss" else reason
                raise TokenError(reason, f"the token has no {error.claim}") from None
            except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
                continue
            return self._of_claims(token, claims)
        raise fault

    def _claims(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        # One algorithm for each key: else the public half of a pair would do as a shared secret.
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self._audience,
            issuer=self._issuer,
            leeway=self._leeway_s,
            options={"require": ["exp", "aud", *(["iss"] if self._issuer else [])]},
        )
        return claims

    def _of_claims(self, token: str, claims: dict[str, Any]) -> Grant:
        rights = claims.get(CLAIM, {})
        if not isinstance(rights, dict):
            raise TokenError("invalid", f"the claim {CLAIM} must be an object")
        return Grant(
            _patterns(rights, "read"),
            _patterns(rights, "write"),
            _patterns(rights, "events"),
            float(claims["exp"]) + self._leeway_s,
            hashlib.sha256(token.encode()).hexdigest()[:24],
        )


def _patterns(rights: dict[str, Any], right: str) -> tuple[str, ...]:
    found = rights.get(right, [])
    if (
        not isinstance(found, list)
        or len(found) > LONGEST_PATTERNS
        or not all(isinstance(each, str) for each in found)
    ):
        raise TokenError("invalid", f"{right} must be a list of {LONGEST_PATTERNS} names at most")
    return tuple(found)
