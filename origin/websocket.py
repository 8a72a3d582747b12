"""/ws, and /values/{name} as a WebSocket: what Pushpin asks for each socket (docs/websocket.md)."""

from __future__ import annotations

from flask import Blueprint, Response, request
from gripcontrol import WebSocketEvent
from werkzeug.exceptions import Forbidden

from holdfast.access_tokens import TokenError
from holdfast.formats import HEARTBEAT_SECONDS, socket_release
from holdfast.messages import HEARTBEAT
from holdfast.snapshots import Snapshot
from holdfast.values import Rules
from origin import guard
from origin.answers import cacheable, of_snapshot
from origin.conversation import Conversation
from origin.parts import parts
from origin.problems import problem
from origin.socket_events import (
    MAX_EVENTS_BYTES,
    MIMETYPE,
    EventsError,
    decode_events,
    encode_events,
    keep_alive,
    message,
    subscribe,
)
from origin.socket_memory import SocketMemory
from origin.views import channel_of, snapshot_of, view_of

blueprint = Blueprint("websocket", __name__)

MEMORY = "Meta-Socket"
SOCKET = "socket"  # ?as= of what opens a socket; the edge asks for it (fastly/websocket.vcl)
WS_KEY = "websocket"


@blueprint.get("/ws")
def get_ws() -> Response:
    if request.args.get("as") == SOCKET:
        return open_socket(None)
    # Not 426: its header Upgrade is for one hop, and ends at the edge.
    return cacheable(problem(400, "connect with a WebSocket of version 13"), WS_KEY)


@blueprint.post("/ws")
def post_events() -> Response:
    if request.mimetype != MIMETYPE:
        return get_ws()
    return answer_events(None)


def open_socket(shown: Snapshot | None) -> Response:
    """Accept a socket. shown: the newest release of the value it is for, None = it is for none.

    The same for all who connect, so that the edge may keep it. Forbidden unless Pushpin asks.
    """
    _require_signature()
    events = [WebSocketEvent("OPEN"), keep_alive(HEARTBEAT, HEARTBEAT_SECONDS)]
    if shown is not None:
        events += [subscribe(channel_of(shown.name)), message(socket_release(shown))]
    answer = _answer(events, SocketMemory())
    # Pushpin heeds what it is told among the messages.
    answer.headers["Sec-WebSocket-Extensions"] = "grip"
    return cacheable(answer, WS_KEY) if shown is None else of_snapshot(answer, shown)


def answer_events(value: Rules | None) -> Response:
    """The events of one socket. value: the one that it is for, None = those it subscribes to.

    Forbidden unless Pushpin has signed them. Nothing is remembered here: the next events may go to
    another origin.
    """
    _require_signature()
    request.max_content_length = MAX_EVENTS_BYTES
    try:
        events = decode_events(request.get_data(cache=False))
        if events and events[0].type == "OPEN":
            return _open(value)
        memory = SocketMemory.read(request.headers.get(MEMORY, ""))
    except (EventsError, ValueError) as error:
        return problem(400, str(error))
    if value is None and memory.private and guard.visitor() is None:
        return guard.closing(TokenError("expired", "the token of this socket has ended"))
    said = Conversation(parts(), value, memory, guard.visitor).hear(events)
    answer = _answer(said, memory)
    grant = guard.visitor() if memory.private else None
    if grant is not None:
        guard.until_expiry(answer, grant)
    return answer


def _open(value: Rules | None) -> Response:
    """Where no edge keeps what opens a socket."""
    snapshot = None
    if value is not None:
        snapshot = snapshot_of(value, view_of(value))
        if snapshot is None:
            return problem(404, f"no value is called {value.name}")
    return open_socket(snapshot)


def _require_signature() -> None:
    if not parts().signatures.signed():
        raise Forbidden("events are for Pushpin to send; connect with a WebSocket")


def _answer(events: list[WebSocketEvent], memory: SocketMemory) -> Response:
    answer = Response(encode_events(events), mimetype=MIMETYPE)
    answer.headers[f"Set-{MEMORY}"] = memory.write()
    answer.headers["Surrogate-Control"] = "no-store"
    answer.headers["Cache-Control"] = "no-cache"
    return answer
