"""What the origin counts. Labels are routes, never names of values."""

from __future__ import annotations

import os
import time
from functools import cache

from flask import Flask, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from holdfast.version import show_version

REQUESTS = Counter(
    "holdfast_origin_requests_total", "Requests answered", ["route", "method", "status"]
)
SECONDS = Histogram("holdfast_origin_request_seconds", "Time to answer, s", ["route", "method"])
MESSAGES = Counter("holdfast_socket_messages_total", "Messages of WebSockets", ["type"])
REFUSED = Counter("holdfast_origin_refused_total", "Requests by who is no operator", ["reason"])
ACCESS_REFUSED = Counter(
    "holdfast_refused_total", "Requests for what is private, and posts, by who may not", ["reason"]
)
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})


def register(app: Flask) -> None:
    """Count every request of the application."""

    show_version()
    for reason in ("no token", "wrong token", "too many"):
        REFUSED.labels(reason)

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()
        _running().inc()

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        if "started" in g:
            _running().dec()

    @app.after_request
    def count(answer: Response) -> Response:
        # An unknown path or method must not make a label of its own.
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.method in METHODS else "other"
        requests, seconds = _children(route, method, answer.status_code)
        requests.inc()
        seconds.observe(time.perf_counter() - g.started)
        return answer


@cache
def _running() -> Gauge:
    """Not made at import: without labels it opens its file at once, and gunicorn's master imports
    this before there is a folder for it.
    """
    return Gauge(
        "holdfast_origin_running_requests",
        "Requests that are being answered",
        multiprocess_mode="livesum",
    )


@cache
def _children(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    """Looking a label up costs more than counting. There are as many as routes and statuses."""
    return REQUESTS.labels(route, method, status), SECONDS.labels(route, method)


def exposition() -> tuple[bytes, str]:
    """All metrics, of every worker process if there are several, and their content type."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
