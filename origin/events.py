"""/events/{topic}/: a Kafka topic as server-sent events; /events/: the page to look at them."""

from __future__ import annotations

import re

from flask import Blueprint, Response, make_response, render_template, request

from holdfast.errors import UnavailableError
from holdfast.events import LONGEST_KEY
from holdfast.formats import encode_key, events_channel
from holdfast.positions import Position
from origin.answers import BRIEF_S, cacheable, streaming, wants_hold
from origin.catch_up import CatchUp, Page
from origin.grip import hold_at, link_next
from origin.page import PAGE_KEY, SECURITY_HEADERS
from origin.parts import parts
from origin.problems import problem

blueprint = Blueprint("events", __name__)

SSE_KEEP_ALIVE = ":\\n\\n"
_TIME_MS = re.compile(r"[0-9]{1,15}")
_ENCODED_KEY = re.compile(r"[A-Za-z0-9_-]+")


@blueprint.get("/events/")
def get_events_page() -> Response:
    """The page, with the topics that there are now."""
    known = sorted(name for name in parts().replay.topics() if parts().topics.rules(name))
    answer = make_response(render_template("events.html", topics=known))
    answer.headers.update(SECURITY_HEADERS)
    return cacheable(answer, PAGE_KEY, max_age=BRIEF_S)


@blueprint.get("/events/<topic>")
def get_events_without_slash(topic: str) -> Response:
    if parts().topics.rules(topic) is None:
        return _not_found(topic)
    query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
    answer = Response(status=308, headers={"Location": f"/events/{topic}/{query}"})
    answer.headers["Surrogate-Control"] = f"max-age={BRIEF_S}"
    return _open(answer)


@blueprint.get("/events/<topic>/")
def get_events(topic: str) -> Response:
    """A first connect, or one that says where it was: Last-Event-ID, at the edge `after`."""
    rules = parts().topics.rules(topic)
    if rules is None:
        return _not_found(topic)
    key_text = request.args.get("key")
    if key_text is not None and not rules.by_key:
        return problem(400, f"{topic} is not served by key")
    if key_text is not None and not 1 <= len(key_text.encode()) <= LONGEST_KEY:
        return problem(400, f"key has 1 to {LONGEST_KEY} bytes")
    key = None if key_text is None else encode_key(key_text.encode())
    begin = request.args.get("from", "latest")
    if begin not in ("earliest", "latest") and not _TIME_MS.fullmatch(begin):
        return problem(400, "from is one of earliest, latest, or a time in ms since 1970")
    catch_up = CatchUp(parts().relay, parts().replay)
    seen = request.args.get("after") or request.headers.get("Last-Event-ID")
    if seen:
        at = Position.parse(seen)
        if at is None:
            page = catch_up.unreadable(topic, key)
        else:
            page = catch_up.after(topic, rules, at, key)
    elif begin == "latest":
        page = catch_up.live(topic, key)
    else:
        page = catch_up.begin(topic, rules, key, None if begin == "earliest" else int(begin))
    return _answer(topic, key, page)


@blueprint.get("/events/<topic>/at/<position>")
@blueprint.get("/events/<topic>/at/<position>/<key>")
def get_more_events(topic: str, position: str, key: str | None = None) -> Response:
    """Where Pushpin goes on: the next page, or a recovery.

    In the path, not in the query: Pushpin lets requests to one path share one answer.
    """
    rules = parts().topics.rules(topic)
    at = Position.parse(position)
    if rules is None or at is None:
        return _not_found(topic)
    if key is not None and not (rules.by_key and _ENCODED_KEY.fullmatch(key)):
        return _not_found(topic)
    page = CatchUp(parts().relay, parts().replay).after(topic, rules, at, key)
    return _answer(topic, key, page)


def _answer(topic: str, key: str | None, page: Page | None) -> Response:
    if page is None:
        return _not_relayed(topic)
    answer = streaming(page.body, "text/event-stream")
    answer.headers["Surrogate-Control"] = f"max-age={BRIEF_S}"
    answer.headers["Surrogate-Key"] = events_channel(topic)
    answer.headers["Cache-Control"] = "no-cache"
    # Asked for on every request, so that a false signature never gets a stream.
    if parts().signatures.signed() and wants_hold():
        if page.hold is not None:
            channel = events_channel(topic, key)
            hold_at(answer, channel, page.hold, f"/events/{topic}/?recover", SSE_KEEP_ALIVE)
        else:
            more = f"/events/{topic}/at/{page.position.grip_id}"
            link_next(answer, more if key is None else f"{more}/{key}")
    return _open(answer)


def _not_relayed(topic: str) -> Response:
    """Redis knows nothing of it: it is not there, or the relay has not come to it yet."""
    if topic not in parts().replay.topics():
        return _not_found(topic)
    raise UnavailableError(f"{topic} is not relayed yet")


def _not_found(topic: str) -> Response:
    """The same for what is not there and for what must not be shown."""
    return _open(problem(404, f"no topic is called {topic}", max_age=BRIEF_S))


def _open(answer: Response) -> Response:
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer
