"""Errors as application/problem+json (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from holdfast.errors import SettingError, UnavailableError, UpdateError
from origin.request_id import request_id

RETRY_AFTER_S = 1


def problem(status: int, detail: str, *, max_age: int = 0) -> Response:
    """An error answer. max_age: how many seconds the edge may keep it, 0 = not at all."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    answer = Response(msgspec.json.encode(body), status=status, mimetype="application/problem+json")
    keep = f"max-age={max_age}" if max_age else "no-store"
    answer.headers["Surrogate-Control"] = keep
    answer.headers["Cache-Control"] = "no-cache"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = str(RETRY_AFTER_S)
    return answer


def register(app: Flask) -> None:
    """Make every error of the application a problem."""

    def on_update_error(error: UpdateError | SettingError) -> Response:
        return problem(error.status, error.detail)

    def on_unavailable(error: UnavailableError) -> Response:
        name = request_id()
        app.logger.warning("503 to %s: %s", name, error, extra={"fields": {"request_id": name}})
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "try again shortly")

    def on_http_error(error: HTTPException) -> Response:
        answer = problem(error.code or 500, error.description or "")
        if isinstance(getattr(error, "valid_methods", None), list | set | tuple):
            answer.headers["Allow"] = ", ".join(sorted(error.valid_methods))  # type: ignore[attr-defined]
        return answer

    app.register_error_handler(UpdateError, on_update_error)
    app.register_error_handler(SettingError, on_update_error)
    app.register_error_handler(UnavailableError, on_unavailable)
    app.register_error_handler(HTTPException, on_http_error)
