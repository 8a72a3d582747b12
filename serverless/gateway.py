"""A WSGI application as what API Gateway and function URLs invoke.

apig-wsgi turns events into requests and answers back, for REST APIs (payload 1.0), HTTP APIs (1.0,
2.0) and function URLs (2.0). This adds what it leaves out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from apig_wsgi import make_lambda_handler

Event = dict[str, Any]
Handler = Callable[[Event, Any], Event]


def make_handler(app: WSGIApplication) -> Handler:
    """The Lambda handler that answers with `app`. Bodies that are no text travel as base64."""
    answer = make_lambda_handler(AsWsgiHasIt(app), binary_support=True)

    def handler(event: Event, context: Any) -> Event:
        return answer(without_stage(event), context)

    return handler


def without_stage(event: Event) -> Event:
    """The event, its path without the stage's name.

    An HTTP API puts a named stage before every path; a REST API doesn't, and function URLs and the
    stage `$default` have no name.
    """
    path = event.get("rawPath")
    stage = f"/{event['requestContext'].get('stage', '$default')}" if path else ""
    if not path or not (path == stage or path.startswith(f"{stage}/")):
        return event
    return {**event, "rawPath": path[len(stage) :] or "/"}


class AsWsgiHasIt:
    """Middleware for what WSGI and gateways see differently.

    Of a request: text is bytes, one character each (PEP 3333); a gateway sends any Unicode.
    Of an answer: in payload 2.0 a header has one value, and of several the last would arrive. They
    are joined by commas (RFC 9110, 5.3); cookies go apart.
    """

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        for key, value in environ.items():
            if isinstance(value, str) and not value.isascii():
                environ[key] = as_bytes(value)

        def joined(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start(status, join(headers), exc_info)

        return self._app(environ, joined)


def as_bytes(text: str) -> str:
    """One character for each byte; text that is so already stays as it is."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode("latin-1")
    return text


def join(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """`headers` in their order, those of one name at the place of the first."""
    places: dict[str, int] = {}
    result: list[tuple[str, str]] = []
    for name, value in headers:
        place = places.setdefault(name.lower(), len(result))
        if place == len(result) or name.lower() == "set-cookie":
            result.append((name, value))
        else:
            result[place] = (result[place][0], f"{result[place][1]}, {value}")
    return result
