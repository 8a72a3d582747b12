"""Answers that the edge caches: how long, under which key, and how they vary."""

from __future__ import annotations

from flask import Response, request

from holdfast.formats import edge_keys, surrogate_key
from holdfast.snapshots import Snapshot

MAX_AGE_S = 300
STALE_IF_ERROR_S = 86_400
BRIEF_S = 1  # for what random parameters could ask for


def cacheable(
    answer: Response, key: str, *, max_age: int = MAX_AGE_S, stale_if_error: bool = True
) -> Response:
    """Let the edge keep `answer` under the surrogate key `key`; browsers always ask again.

    What it keeps only briefly it doesn't keep for when the origin is away.
    """
    keep = f"max-age={max_age}"
    if stale_if_error and max_age > BRIEF_S:
        keep += f", stale-if-error={STALE_IF_ERROR_S}"
    answer.headers["Surrogate-Control"] = keep
    answer.headers["Surrogate-Key"] = edge_keys(key)
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def of_value(
    answer: Response, name: str, *, max_age: int = MAX_AGE_S, stale_if_error: bool = True
) -> Response:
    """A cacheable answer about one value, open to scripts of any site."""
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.vary.add("Accept")
    key = surrogate_key(name)
    return cacheable(answer, key, max_age=max_age, stale_if_error=stale_if_error)


def of_snapshot(
    answer: Response, snapshot: Snapshot, *, max_age: int = MAX_AGE_S, stale_if_error: bool = True
) -> Response:
    """A cacheable answer that shows a value at one version; the edge compares ids with that."""
    answer.headers["Holdfast-Version"] = str(snapshot.version)
    return of_value(answer, snapshot.name, max_age=max_age, stale_if_error=stale_if_error)


def streaming(body: bytes, mimetype: str) -> Response:
    """The first bytes of a stream; nothing between here and the viewer may collect them."""
    answer = Response(body, mimetype=mimetype)
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def wants_hold() -> bool:
    """HEAD asks for headers only: there would be nothing to hold."""
    return request.method == "GET"
