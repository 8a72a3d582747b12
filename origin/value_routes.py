"""/values/{name}: its representations, history, updates."""

from __future__ import annotations

import logging
from typing import Literal

import msgspec
from flask import Blueprint, Response, request

from holdfast.idempotency import parse_header
from holdfast.polls import parse_wait
from holdfast.updates import parse_body
from holdfast.values import HOME_TOPIC
from origin.after import After
from origin.answers import BRIEF_S, of_value
from origin.parts import parts
from origin.problems import problem
from origin.request_id import request_id
from origin.socket_events import MIMETYPE
from origin.value_answers import NDJSON, SSE, snapshot_answer, stream_answer
from origin.views import snapshot_of, view_of
from origin.websocket import SOCKET, answer_events, open_socket

log = logging.getLogger(__name__)

blueprint = Blueprint("values", __name__)

Representation = Literal["json", "sse", "ndjson"]
MIMETYPES: dict[str, Representation] = {
    "application/json": "json",
    "text/event-stream": "sse",
    "application/x-ndjson": "ndjson",
}


@blueprint.get("/values/<name>")
@blueprint.get("/values/<name>/held/<ticket>")
def get_value(name: str, ticket: str | None = None) -> Response:
    """ticket: of who recovers a private stream (guard.py)."""
    rules = parts().values.rules(name)
    if rules is None:
        return _not_found(name)
    representation = _representation()
    if representation is None and request.args.get("as") != SOCKET:
        return problem(400, f"as is one of {', '.join(MIMETYPES.values())}", max_age=BRIEF_S)
    wait = request.args.get("wait", "") if representation == "json" else ""
    if wait and parse_wait(wait) is None:
        return problem(400, "wait is a number of seconds from 1 to 120", max_age=BRIEF_S)
    snapshot = snapshot_of(rules, view_of(rules))
    if snapshot is None:
        return _not_found(name)
    if representation is None:
        return open_socket(snapshot)
    after = After.of_request()
    if representation == "json":
        return snapshot_answer(snapshot, after, parse_wait(wait))
    return stream_answer(snapshot, after, SSE if representation == "sse" else NDJSON)


@blueprint.get("/values/<name>/history")
def get_history(name: str) -> Response:
    rules = parts().values.rules(name)
    if rules is None:
        return _not_found(name)
    view = view_of(rules, history=True)
    if snapshot_of(rules, view) is None:
        return _not_found(name)
    releases = b",".join(snapshot.encode() for snapshot in view.history)
    body = b'{"name":%b,"releases":[%b]}' % (msgspec.json.encode(name), releases)
    return of_value(Response(body, mimetype="application/json"), name)


@blueprint.post("/values/<name>")
def post_update(name: str) -> Response:
    rules = parts().values.rules(name)
    if rules is None:
        return problem(404, f"no value is called {name}")
    if request.mimetype == MIMETYPE:
        return answer_events(rules)
    if request.mimetype != "application/json":
        return problem(415, "send the update as application/json")
    update = parse_body(request.get_data(cache=False), rules)
    key = parse_header(request.headers.get("Idempotency-Key"))
    partition, offset = parts().producer.send(name, update.encode(rules.reduce), key)
    if log.isEnabledFor(logging.DEBUG):
        place = f"{HOME_TOPIC}/{partition}/{offset}"
        fields = {"value": name, "update": place, "request_id": request_id()}
        log.debug("%s is %s, of %s", request_id(), place, name, extra={"fields": fields})
    body = {"name": name, "topic": HOME_TOPIC, "partition": partition, "offset": offset}
    return Response(msgspec.json.encode(body), status=202, mimetype="application/json")


def _representation() -> Representation | None:
    """`?as=` beats Accept. None: there is no such representation."""
    asked = request.args.get("as")
    if asked is not None:
        return asked if asked in MIMETYPES.values() else None  # type: ignore[return-value]
    best = request.accept_mimetypes.best_match(list(MIMETYPES), default="application/json")
    return MIMETYPES[best]


def _not_found(name: str) -> Response:
    """Cached for a second under the value's key: its first release must not stay hidden."""
    answer = problem(404, f"no value is called {name}", max_age=BRIEF_S)
    if parts().values.rules(name) is not None:
        of_value(answer, name, max_age=BRIEF_S)
    return answer
