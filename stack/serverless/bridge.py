"""What stands between HTTP and a function, on one machine: as small as API Gateway can be.

Each request is one invocation. Its own answers are a function URL's: 429 beyond the function's
concurrency, 502 when it fails, 504 when it takes too long. Run by gunicorn, one process, with the
environment:

    BRIDGE_FUNCTIONS      the emulators' URLs, with commas
    BRIDGE_TIMEOUT_S      what an invocation may take, s
    BRIDGE_PATIENCE_S     how long one may wait for a free environment, s
    BRIDGE_METRICS_PORT   where Prometheus asks
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from http import HTTPStatus
from typing import Literal
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import msgspec
from prometheus_client import Counter, start_http_server

from stack.serverless import answer, event
from stack.serverless.answer import Answer, FunctionError, FunctionTimeoutError
from stack.serverless.pool import Pool, ThrottledError

log = logging.getLogger(__name__)

INVOCATIONS = Counter(
    "holdfast_invocations_total", "Invocations of the function", ["kind", "outcome"]
)

Kind = Literal["read", "write", "websocket", "ready"]
WEBSOCKET_EVENTS = "application/websocket-events"


def create_app() -> WSGIApplication:
    """The bridge that the environment asks for."""
    start_http_server(int(os.environ["BRIDGE_METRICS_PORT"]), addr="127.0.0.1")
    pool = Pool(
        os.environ["BRIDGE_FUNCTIONS"].split(","),
        float(os.environ["BRIDGE_TIMEOUT_S"]),
        float(os.environ["BRIDGE_PATIENCE_S"]),
    )

    def bridge(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        outcome, result = _invoke(pool, msgspec.json.encode(event.of_request(environ, body)))
        INVOCATIONS.labels(_kind(environ), outcome).inc()
        start(f"{result.status} {HTTPStatus(result.status).phrase}", result.headers)
        return [result.body]

    return bridge


def _invoke(pool: Pool, said: bytes) -> tuple[str, Answer]:
    try:
        return "ok", answer.of_invocation(pool.invoke(said))
    except ThrottledError:
        return "throttled", _own(HTTPStatus.TOO_MANY_REQUESTS, "Rate Exceeded.")
    except FunctionTimeoutError as error:
        log.warning("504: %s", error)
        return "timeout", _own(HTTPStatus.GATEWAY_TIMEOUT, "Endpoint request timed out")
    except FunctionError as error:
        log.warning("502: %s", error)
        return "error", _own(HTTPStatus.BAD_GATEWAY, "Internal Server Error")


def _own(status: HTTPStatus, message: str) -> Answer:
    body = msgspec.json.encode({"message": message})
    return Answer(status, [("content-type", "application/json")], body)


def _kind(environ: WSGIEnvironment) -> Kind:
    """What it is for, for counting."""
    if environ["PATH_INFO"].startswith("/health/"):
        return "ready"
    if environ.get("CONTENT_TYPE") == WEBSOCKET_EVENTS:
        return "websocket"
    return "read" if environ["REQUEST_METHOD"] in ("GET", "HEAD") else "write"
