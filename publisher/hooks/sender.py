"""Sends one request to a webhook's receiver, and says what came of it. It never raises for that."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version

import httpcore

from holdfast.hook_guard import Guard
from holdfast.hooks import Target
from publisher.hooks.dial import Deadline, ForbiddenTargetError, GuardedBackend
from publisher.hooks.message import Message

MOST_BODY = 4_096  # bytes of an answer that are read, and thrown away: then the connection lives on
BODY_S = 1.0  # that such a body may take
IDLE_S = 5.0  # that a connection is kept; names are resolved again after that
GONE = 410
_AGENT = f"Holdfast/{version('holdfast')}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """status: of the answer, 0 = none came. error: what went wrong, "" = nothing.

    refused: by the guard. retry_after_s: what the receiver asked for.
    """

    status: int = 0
    error: str = ""
    refused: bool = False
    retry_after_s: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.error


class Sender:
    """One receiver. Not for several threads at once. trust: whose certificates are believed."""

    def __init__(self, target: Target, guard: Guard, trust: ssl.SSLContext) -> None:
        self._target = target
        self._deadline = Deadline()
        self._url = httpcore.URL(
            scheme=target.scheme, host=target.host, port=target.port, target=target.path
        )
        # No redirects, no proxies, no cookies, nothing decompressed: httpcore has none of them.
        self._pool = httpcore.ConnectionPool(
            ssl_context=trust,
            max_connections=1,
            keepalive_expiry=IDLE_S,
            network_backend=GuardedBackend(guard, self._deadline, secure=target.secure),
        )

    def post(self, message: Message, within_s: float) -> Outcome:
        """Over after `within_s`, or as soon as the system's resolver gives up."""
        headers = {
            "Host": self._target.authority,
            "User-Agent": _AGENT,
            "Content-Type": "application/json",
            "Content-Length": str(len(message.body)),
            **message.headers,
        }
        self._deadline.start(within_s)
        try:
            with self._pool.stream(
                "POST", self._url, headers=list(headers.items()), content=message.body
            ) as answer:
                outcome = _judged(answer)
                self._deadline.start(BODY_S)
                self._drain(answer)
                return outcome
        except ForbiddenTargetError as error:
            return Outcome(error=str(error), refused=True)
        except httpcore.TimeoutException:
            return Outcome(error="no answer in time")
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError, UnicodeError) as error:
            return Outcome(error=_printable(f"{error}" or type(error).__name__))

    def _drain(self, answer: httpcore.Response) -> None:
        """Read a short body, so that the connection can be used again; the status has said all."""
        read = 0
        with suppress(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
            for part in answer.iter_stream():
                read += len(part)
                if read > MOST_BODY:
                    return

    def close(self) -> None:
        self._pool.close()


def _judged(answer: httpcore.Response) -> Outcome:
    status = answer.status
    if 200 <= status < 300:
        return Outcome(status)
    if 300 <= status < 400:
        return Outcome(status, f"answered {status}; redirects are not followed")
    return Outcome(status, f"answered {status}", retry_after_s=_retry_after_s(answer))


def _retry_after_s(answer: httpcore.Response) -> float:
    """Seconds of a Retry-After (RFC 9110); a date is not looked at."""
    for name, value in answer.headers:
        if name.lower() == b"retry-after" and value.isdigit() and len(value) < 10:
            return float(value)
    return 0.0


def _printable(text: str) -> str:
    """Errors may quote what the receiver sent."""
    return "".join(char if char.isprintable() else " " for char in text)[:200]
