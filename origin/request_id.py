"""X-Request-Id: by which one request is found again in the logs."""

from __future__ import annotations

import re
import uuid

from flask import Flask, Response, g, request

HEADER = "X-Request-Id"
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# Their answers are kept by the edge, for other requests.
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def request_id() -> str:
    """What the client calls this request, or else a name that it has from now on."""
    if "request_id" not in g:
        sent = request.headers.get(HEADER, "")
        g.request_id = sent if _ID.fullmatch(sent) else uuid.uuid4().hex
    found: str = g.request_id
    return found


def register(app: Flask) -> None:
    """Tell who changes something what his request is called."""

    @app.after_request
    def tell(answer: Response) -> Response:
        if request.method not in _READING and request.mimetype != "application/websocket-events":
            answer.headers[HEADER] = request_id()
        return answer
