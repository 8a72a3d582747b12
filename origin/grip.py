"""GRIP at the origin: who may ask for a hold, and what a hold says (the GRIP protocol)."""

from __future__ import annotations

from flask import Response, request
from gripcontrol import validate_sig
from werkzeug.exceptions import Forbidden

from holdfast.formats import HEARTBEAT_SECONDS


class Signatures:
    """Checks `Grip-Sig`, the JWT by which Pushpin proves that it stands in front."""

    def __init__(self, key: str) -> None:
        self._key = key

    def signed(self) -> bool:
        """Whether Pushpin forwarded this request. Forbidden when the signature is a false one."""
        signature = request.headers.get("Grip-Sig")
        if signature is None:
            return False
        if not validate_sig(signature, self._key):
            raise Forbidden("Grip-Sig is not valid; check that HOLDFAST_GRIP_KEY is Pushpin's")
        return True


def hold(answer: Response, channel: str, version: int, link: str, keep_alive: str) -> None:
    """Make Pushpin keep this answer's connection open as a stream.

    version: the newest that the body delivers or the client knows; the chain goes on from there.
    link: where Pushpin recovers when the chain breaks. keep_alive: the heartbeat, C-escaped.
    """
    hold_at(answer, channel, str(version), link, keep_alive)


def link_next(answer: Response, link: str) -> None:
    """Make Pushpin send this answer and go on with the one at `link`, before it holds anything."""
    answer.headers["Grip-Link"] = f"<{link}>; rel=next"


def hold_at(answer: Response, channel: str, prev_id: str, link: str, keep_alive: str) -> None:
    """As `hold`, where ids are more than a number."""
    answer.headers["Grip-Hold"] = "stream"
    answer.headers["Grip-Channel"] = f"{channel}; prev-id={prev_id}"
    link_next(answer, link)
    answer.headers["Grip-Keep-Alive"] = f"{keep_alive}; format=cstring; timeout={HEARTBEAT_SECONDS}"
