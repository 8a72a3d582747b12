"""Tickets of held streams: what stands in a private hold's Grip-Link instead of the client's token.

Pushpin recovers a stream by the link alone, without any of the client's headers, and lets all
recoveries of one path share an answer. So the ticket is a part of the path, and each token has one
of its own. It is good for one thing only, until the token ends, and only where Pushpin signs.
"""

from __future__ import annotations

import hashlib
import hmac
import math

import jwt

from holdfast.access_tokens import Grant, TokenError


class Tickets:
    """Makes and reads them. secret: the origins', from which the key is derived."""

    def __init__(self, secret: str) -> None:
        # A key of its own: nothing else that is signed with the secret passes for a ticket.
        self._key = hmac.digest(secret.encode(), b"holdfast tickets", hashlib.sha256)

    def issue(self, about: str, grant: Grant) -> str:
        """For `about`, a value's or topic's path. The same again for the same token."""
        claims = {"aud": about, "exp": math.ceil(grant.expires_at), "sub": grant.id}
        return jwt.encode(claims, self._key, "HS256")

    def read(self, ticket: str, about: str) -> Grant:
        """Whose it is; it allows what it is about and nothing else. Raises TokenError."""
        try:
            claims = jwt.decode(
                ticket,
                self._key,
                algorithms=["HS256"],
                audience=about,
                options={"require": ["exp", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise TokenError("expired", "the token has expired") from None
        except (jwt.PyJWTError, ValueError):
            raise TokenError("ticket", "the ticket is none") from None
        return Grant((), (), (), float(claims["exp"]), str(claims["sub"]))
