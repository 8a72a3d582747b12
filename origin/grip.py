"""GRIP at the origin: who may ask for a hold, and what a hold says (the GRIP protocol)."""

from __future__ import annotations

from collections.abc import Sequence

import jwt
from flask import Response, request
from gripcontrol import validate_sig
from jwt import PyJWK
from werkzeug.exceptions import Forbidden

from holdfast.formats import HEARTBEAT_SECONDS
from holdfast.polls import FILTER
from holdfast.public_keys import ALGORITHMS


class Signatures:
    """Checks `Grip-Sig`, the JWT by which Pushpin or Fanout proves that it stands in front.

    key: what Pushpin signs with, None = none is ours. public_keys: of Fanout, which signs for all
    its customers with the same one; only what `issuer` signed counts.
    """

    def __init__(
        self, key: str | None, public_keys: Sequence[PyJWK] = (), issuer: str = ""
    ) -> None:
        self._key = key
        self._public_keys = public_keys
        self._issuer = issuer

    def signed(self) -> bool:
        """Whether a proxy of ours forwarded this request. Forbidden when its signature is false."""
        signature = request.headers.get("Grip-Sig")
        if signature is None:
            return False
        if self._key is not None and validate_sig(signature, self._key):
            return True
        if any(self._verified(signature, key) for key in self._public_keys):
            return True
        raise Forbidden(
            "Grip-Sig is not valid; check that HOLDFAST_GRIP_KEY is Pushpin's, or that "
            "HOLDFAST_GRIP_VERIFY_KEY and HOLDFAST_FASTLY_SERVICE_ID are Fanout's"
        )

    def _verified(self, signature: str, key: PyJWK) -> bool:
        try:
            jwt.decode(
                signature,
                key,
                algorithms=ALGORITHMS,
                issuer=self._issuer,
                options={"require": ["exp", "iss"], "verify_aud": False},
            )
        except jwt.InvalidTokenError:
            return False
        return True


def hold(answer: Response, channel: str, version: int, link: str, keep_alive: str) -> None:
    """Make Pushpin keep this answer's connection open as a stream.

    version: the newest that the body delivers or the client knows; the chain goes on from there.
    link: where Pushpin recovers when the chain breaks. keep_alive: the heartbeat, C-escaped.
    """
    hold_at(answer, channel, str(version), link, keep_alive)


def hold_open(answer: Response, channel: str, link: str, keep_alive: str) -> None:
    """As `hold`, without a chain: each item is the whole picture. link: asked upon a hint."""
    answer.headers["Grip-Hold"] = "stream"
    answer.headers["Grip-Channel"] = channel
    link_next(answer, link)
    answer.headers["Grip-Keep-Alive"] = f"{keep_alive}; format=cstring; timeout={HEARTBEAT_SECONDS}"


def hold_back(answer: Response, channel: str, version: int, wait_s: int) -> None:
    """Make Pushpin send this answer only when nothing else came within `wait_s`.

    version: what the client knows. Where the chain breaks Pushpin asks the same again.
    """
    answer.headers["Grip-Hold"] = "response"
    answer.headers["Grip-Channel"] = f"{channel}; prev-id={version}; filter={FILTER}"
    answer.headers["Grip-Timeout"] = str(wait_s)


def link_next(answer: Response, link: str) -> None:
    """Make Pushpin send this answer and go on with the one at `link`, before it holds anything."""
    answer.headers["Grip-Link"] = f"<{link}>; rel=next"


def hold_at(answer: Response, channel: str, prev_id: str, link: str, keep_alive: str) -> None:
    """As `hold`, where ids are more than a number."""
    hold_open(answer, f"{channel}; prev-id={prev_id}", link, keep_alive)
