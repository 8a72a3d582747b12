"""/values/{name}: snapshots, holds and their recovery, history, updates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
from flask import Blueprint, Response, request

from holdfast.formats import SSE_COMMENT, sse_release, sse_reset, value_channel
from holdfast.idempotency import parse_header
from holdfast.snapshots import Snapshot
from holdfast.updates import parse_body
from holdfast.values import HOME_TOPIC
from origin.answers import BRIEF_S, MAX_AGE_S, of_snapshot, of_value, streaming, wants_hold
from origin.grip import hold
from origin.parts import parts
from origin.problems import problem
from origin.socket_events import MIMETYPE
from origin.views import snapshot_of, view_of
from origin.websocket import SOCKET, answer_events, open_socket

blueprint = Blueprint("values", __name__)

Representation = Literal["json", "sse"]
SSE_KEEP_ALIVE = ":\\n\\n"


@dataclass(frozen=True, slots=True)
class After:
    """What the client says it has seen. version: None = nothing; fault: why it leads nowhere."""

    version: int | None = None
    fault: str | None = None

    @classmethod
    def of_request(cls) -> After:
        """`?after=`; the edge puts a Last-Event-ID there. A header that is not in the cache
        key must not change what everybody gets.

        `unknown` is what the edge makes of an id that is newer than its copy (fastly/after.vcl).
        """
        text = request.args.get("after")
        if not text:
            return cls()
        if text == "unknown":
            return cls(fault="unknown id")
        if text.isascii() and text.isdigit() and len(text) <= 18:
            return cls(int(text))
        return cls(fault="unreadable id")

    def reset_reason(self, snapshot: Snapshot) -> str | None:
        """Why what the client has seen doesn't lead to `snapshot`; None when it does."""
        if self.version is not None and self.version > snapshot.version:
            return "unknown id"
        return self.fault

    def seen(self, snapshot: Snapshot) -> bool:
        """Whether the client has this very version."""
        return self.version == snapshot.version


@blueprint.get("/values/<name>")
def get_value(name: str) -> Response:
    rules = parts().values.rules(name)
    if rules is None:
        return _not_found(name)
    representation = _representation()
    if representation is None and request.args.get("as") != SOCKET:
        return problem(400, "as is one of json, sse", max_age=BRIEF_S)
    snapshot = snapshot_of(rules, view_of(rules))
    if snapshot is None:
        return _not_found(name)
    if representation is None:
        return open_socket(snapshot)
    if representation == "sse":
        return _sse(snapshot, After.of_request())
    return _json(snapshot, After.of_request())


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
    body = {"name": name, "topic": HOME_TOPIC, "partition": partition, "offset": offset}
    return Response(msgspec.json.encode(body), status=202, mimetype="application/json")


def _representation() -> Representation | None:
    """`?as=` beats Accept. None: there is no such representation."""
    asked = request.args.get("as")
    if asked is not None:
        return asked if asked in ("json", "sse") else None  # type: ignore[return-value]
    best = request.accept_mimetypes.best_match(
        ["application/json", "text/event-stream"], default="application/json"
    )
    return "sse" if best == "text/event-stream" else "json"


def _json(snapshot: Snapshot, after: After) -> Response:
    if after.seen(snapshot):
        return of_snapshot(Response(status=204), snapshot, max_age=BRIEF_S)
    answer = of_snapshot(Response(snapshot.encode(), mimetype="application/json"), snapshot)
    answer.set_etag(f"{snapshot.version}-json")
    return answer


def _sse(snapshot: Snapshot, after: After) -> Response:
    max_age = MAX_AGE_S
    reason = after.reset_reason(snapshot)
    if reason is not None:
        body = sse_reset(reason) + sse_release(snapshot)
        max_age = BRIEF_S
    elif after.seen(snapshot):
        # A comment all the same: proxies and clients wait for a first byte.
        body, max_age = SSE_COMMENT, BRIEF_S
    else:
        body = sse_release(snapshot)
    answer = of_snapshot(streaming(body, "text/event-stream"), snapshot, max_age=max_age)
    # Asked for on every request, so that a false signature never gets a stream.
    if parts().signatures.signed() and wants_hold():
        link = f"/values/{snapshot.name}?recover&as=sse"
        hold(answer, value_channel(snapshot.name), snapshot.version, link, SSE_KEEP_ALIVE)
    return answer


def _not_found(name: str) -> Response:
    """Cached for a second under the value's key: its first release must not stay hidden."""
    answer = problem(404, f"no value is called {name}", max_age=BRIEF_S)
    if parts().values.rules(name) is not None:
        of_value(answer, name, max_age=BRIEF_S)
    return answer
