"""/values/{name}: its representations, history, updates."""

from __future__ import annotations

from typing import Literal

import msgspec
from flask import Blueprint, Response, request

from holdfast.errors import UnavailableError, UpdateError
from holdfast.idempotency import parse_header
from holdfast.polls import parse_wait
from holdfast.snapshots import Snapshot
from holdfast.state import View
from holdfast.updates import parse_body
from holdfast.values import HOME_TOPIC, Rules
from origin.after import After
from origin.answers import BRIEF_S, of_value
from origin.parts import parts
from origin.problems import problem
from origin.value_answers import NDJSON, SSE, snapshot_answer, stream_answer

blueprint = Blueprint("values", __name__)

Representation = Literal["json", "sse", "ndjson"]
MIMETYPES: dict[str, Representation] = {
    "application/json": "json",
    "text/event-stream": "sse",
    "application/x-ndjson": "ndjson",
}


def view_of(rules: Rules, *, history: bool = False) -> View:
    """The published view. UnavailableError while Redis can't be trusted: the edge has a copy."""
    view = parts().state.view(rules, history=history)
    if not view.ready:
        raise UnavailableError("the state is being rebuilt")
    return view


def snapshot_of(rules: Rules, view: View) -> Snapshot | None:
    """The newest release; version 0 for a configured value without one; None for nobody's."""
    if view.snapshot is None and parts().values.configured(rules.name):
        return Snapshot.unreleased(rules.name, rules.reduce)
    return view.snapshot


@blueprint.get("/values/<name>")
def get_value(name: str) -> Response:
    rules = parts().values.rules(name)
    if rules is None:
        return _not_found(name)
    representation = _representation()
    if representation is None:
        return problem(400, f"as is one of {', '.join(MIMETYPES.values())}", max_age=BRIEF_S)
    wait = request.args.get("wait", "") if representation == "json" else ""
    if wait and parse_wait(wait) is None:
        return problem(400, "wait is a number of seconds from 1 to 120", max_age=BRIEF_S)
    snapshot = snapshot_of(rules, view_of(rules))
    if snapshot is None:
        return _not_found(name)
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
    if request.mimetype != "application/json":
        return problem(415, "send the update as application/json")
    if rules.topic != HOME_TOPIC:
        raise UpdateError(422, f"{name} is fed by the topic {rules.topic}, not over HTTP")
    update = parse_body(request.get_data(cache=False), rules)
    key = parse_header(request.headers.get("Idempotency-Key"))
    partition, offset = parts().producer.send(name, update.encode(rules.reduce), key)
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
