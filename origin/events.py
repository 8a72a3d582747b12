"""/events/{topic}/: a Kafka topic as server-sent events; /events/: the page to look at them."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from flask import Blueprint, Response, make_response, render_template, request

from holdfast.errors import UnavailableError
from holdfast.events import LONGEST_KEY
from holdfast.formats import encode_key, events_channel
from holdfast.positions import Position
from origin.answers import BRIEF_S, cacheable, streaming, wants_hold
from origin.catch_up import CatchUp, Page
from origin.grip import hold_at, link_next
from origin.page import PAGE_KEY
from origin.parts import parts
from origin.problems import problem
from origin.security import PAGE_HEADERS

blueprint = Blueprint("events", __name__)

SSE_KEEP_ALIVE = ":\\n\\n"
_TIME_MS = re.compile(r"[0-9]{1,15}")
_QUERY_SAFE = "!$&'()*+,-./:;=?@_~%"  # as they may stand in a query; % is of what is quoted already
_ENCODED_KEY = re.compile(r"[A-Za-z0-9_-]+")


@blueprint.before_request
def refuse_what_is_not_utf_8() -> Response | None:
    """Raw bytes of a query: Flask itself would fail on them."""
    try:
        request.query_string.decode()
    except UnicodeDecodeError:
        return _refused("the query is not UTF-8")
    return None


@blueprint.get("/events/")
def get_events_page() -> Response:
    """The page, with the topics that there are now and that everybody may see."""
    rules = {name: parts().topics.rules(name) for name in parts().replay.topics()}
    known = sorted(name for name, rule in rules.items() if rule and not rule.private)
    answer = make_response(render_template("events.html", topics=known))
    answer.headers.update(PAGE_HEADERS)
    return cacheable(answer, PAGE_KEY, max_age=BRIEF_S)


@blueprint.get("/events")
def get_events_page_without_slash() -> Response:
    return _with_slash("/events/")


@blueprint.get("/events/<topic>")
def get_events_without_slash(topic: str) -> Response:
    if parts().topics.rules(topic) is None:
        return _not_found(topic)
    return _with_slash(f"/events/{topic}/")


def _with_slash(path: str) -> Response:
    """A redirect that names no host: Flask's own does, and knows no port behind nginx."""
    query = quote(request.query_string, safe=_QUERY_SAFE)
    answer = Response(status=308, headers={"Location": f"{path}?{query}" if query else path})
    answer.headers["Surrogate-Control"] = f"max-age={BRIEF_S}"
    answer.headers["Cache-Control"] = "no-cache"
    return _open(answer)


@blueprint.get("/events/<topic>/")
@blueprint.get("/events/<topic>/held/<ticket>/")
def get_events(topic: str, ticket: str | None = None) -> Response:
    """A first connect, or one that says where it was: Last-Event-ID, at the edge `after`."""
    rules = parts().topics.rules(topic)
    if rules is None:
        return _not_found(topic)
    asked = _key_of_query()
    if asked is not None and not rules.by_key:
        return _refused(f"{topic} is not served by key")
    if asked is not None and not 1 <= len(asked) <= LONGEST_KEY:
        return _refused(f"key has 1 to {LONGEST_KEY} bytes")
    key = None if asked is None else encode_key(asked)
    begin = request.args.get("from", "latest")
    if begin not in ("earliest", "latest") and not _TIME_MS.fullmatch(begin):
        return _refused("from is one of earliest, latest, or a time in ms since 1970")
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
@blueprint.get("/events/<topic>/held/<ticket>/at/<position>")
@blueprint.get("/events/<topic>/held/<ticket>/at/<position>/<key>")
def get_more_events(
    topic: str, position: str, key: str | None = None, ticket: str | None = None
) -> Response:
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


def _key_of_query() -> bytes | None:
    """The first `key`. Its bytes as they are: a record's key need not be text, and Flask would make
    other bytes of what is none.
    """
    for parameter in request.query_string.split(b"&"):
        name, _, value = parameter.partition(b"=")
        if name == b"key":
            return unquote_to_bytes(value.replace(b"+", b" "))
    return None


def _refused(detail: str) -> Response:
    return _open(problem(400, detail, max_age=BRIEF_S))


def _not_found(topic: str) -> Response:
    """The same for what is not there and for what must not be shown."""
    return _open(problem(404, f"no topic is called {topic}", max_age=BRIEF_S))


def _open(answer: Response) -> Response:
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer
