"""What can go wrong when a server is asked."""

from __future__ import annotations

import httpx


class ClientError(Exception):
    """Base of all of them."""


class RefusedError(ClientError):
    """The server will not do it, however often it is asked. status: of its answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status


class UnansweredError(ClientError):
    """Nobody said yes or no in time. An update may have counted, or not."""


def refusal(answer: httpx.Response) -> RefusedError:
    """From an answer whose body was read: `detail` of RFC 9457, or the status in words."""
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = answer.reason_phrase
    return RefusedError(answer.status_code, detail)


def may_pass(status: int) -> bool:
    """Whether the same request may be answered otherwise later."""
    return status == 429 or status >= 500
