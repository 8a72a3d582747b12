"""Before and after every route that takes the name of a value or of a topic: is it private, may
who asks have it, and what must become of the answer. Routes themselves know nothing of it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from flask import Flask, Response, current_app, g, request
from gripcontrol import WebSocketEvent

from holdfast.access_tokens import Grant, Right, TokenError
from holdfast.formats import events_channel, private_channel, value_channel
from origin import metrics
from origin.access import Access
from origin.answers import cacheable
from origin.parts import parts
from origin.problems import problem
from origin.socket_events import MIMETYPE, encode_events

MARKER_S = 60  # that something is private the edge may know for so long
# On this channel nothing is ever sent. So it never counts as heard from, and the timeout of a
# hold's link is the end of the token, however much the value changes.
EXPIRY_CHANNEL = "expiry"
POLICY = b"\x03\xf0"  # 1008 (RFC 6455, 7.4.1)
_STATUS = {"scope": 403, "origin": 403, "ticket": 403, "too many": 429}


@dataclass(frozen=True, slots=True)
class Thing:
    """What a request is about. path: of the value or topic."""

    path: str
    name: str
    right: Right
    private: bool
    surrogate_key: str


def register(app: Flask) -> None:
    app.before_request(let_in)
    app.after_request(seal)


def is_operators() -> bool:
    """Routes below /api and /console have a guard of their own: operators see everything."""
    rule = request.url_rule.rule if request.url_rule else ""
    return rule.startswith(("/api/", "/console/"))


def thing() -> Thing | None:
    """What this request is about; None where it names nothing, or nothing that there is."""
    names = request.view_args or {}
    if "name" in names:
        name = names["name"]
        value = parts().values.rules(name)
        if value is None:
            return None
        key = value_channel(name)
        return Thing(f"/values/{name}", name, "read", value.private, key)
    if "topic" in names:
        name = names["topic"]
        topic = parts().topics.rules(name)
        if topic is None:
            return None
        return Thing(f"/events/{name}", name, "events", topic.private, events_channel(name))
    return None


def let_in() -> Response | None:
    """None = go on; g.grant is set for what is private."""
    if is_operators():
        return None
    about = thing()
    if about is None:
        # A ticket is for what there is.
        return _refused("ticket", "the ticket is none") if _ticket() is not None else None
    access = parts().access
    socket = request.mimetype == MIMETYPE
    try:
        if _ticket() is not None:
            return _by_ticket(access, about)
        if request.method == "POST" and not socket:
            _post(access, about)
            return None
        if about.private and request.method != "OPTIONS":
            g.private = about
            if not access.names_token(request):
                return _unknown(about)
            g.grant = _allowed(access.grant(request), about.right, about.name)
    except TokenError as fault:
        if socket and request.method == "POST":
            return closing(fault)
        return refusal(fault)
    return None


def visitor() -> Grant | None:
    """What the token of this request allows, None without a good one: for sockets."""
    if "visitor" not in g:
        try:
            g.visitor = parts().access.grant(request)
        except TokenError as fault:
            if fault.reason != "no token":
                _count(fault.reason)
            g.visitor = None
    found: Grant | None = g.visitor
    return found


def _ticket() -> str | None:
    return (request.view_args or {}).get("ticket")


def _post(access: Access, about: Thing) -> None:
    access.check_poster(request)
    rules = parts().values.rules(about.name)
    if rules is not None and access.post_needs_token(rules):
        # Not by cookie: a browser would send it along from any page.
        _allowed(access.grant(request, cookies=False), "write", about.name)


def _allowed(grant: Grant, right: Right, name: str) -> Grant:
    if not grant.allows(right, name):
        raise TokenError("scope", f"the token does not allow to {_verb(right)} {name}")
    return grant


def _verb(right: Right) -> str:
    return "write" if right == "write" else "read"


def _by_ticket(access: Access, about: Thing) -> Response | None:
    if not (about.private and access.tickets is not None and parts().signatures.signed()):
        raise TokenError("ticket", "streams are recovered by Pushpin alone")
    try:
        g.grant = access.tickets.read(_ticket() or "", about.path)
    except TokenError as fault:
        if fault.reason != "expired":
            raise
        # Neither held nor linked: Pushpin ends the stream, at once. An error it would try again.
        _count("expired")
        g.private = about
        return Response(b"", mimetype="text/plain")
    g.private = about
    return None


def _unknown(about: Thing) -> Response:
    """The same for all who don't say who they are, so that the edge may keep it. Who does is then
    asked for apart (fastly/private.vcl).
    """
    answer = refusal(TokenError("no token", "this is private: send a token that allows to read it"))
    if request.method in ("GET", "HEAD"):
        cacheable(answer, about.surrogate_key, max_age=MARKER_S, stale_if_error=False)
        answer.headers["Holdfast-Private"] = "yes"
        answer.headers["Access-Control-Allow-Origin"] = "*"
        del g.private
    return answer


def refusal(fault: TokenError) -> Response:
    """The answer to a token that lets nobody in (RFC 6750, 3), counted and logged."""
    answer = _refused(fault.reason, fault.detail)
    if fault.reason == "too many":
        answer.headers["Retry-After"] = str(parts().access.retry_after_s(request, time.time()))
    elif answer.status_code == 401 or fault.reason == "scope":
        challenge = 'Bearer realm="holdfast"'
        if fault.reason == "scope":
            challenge += ', error="insufficient_scope"'
        elif fault.reason != "no token":
            challenge += f', error="invalid_token", error_description="{fault.detail}"'
        answer.headers["WWW-Authenticate"] = challenge
    return answer


def closing(fault: TokenError) -> Response:
    """The end of a socket whose token is none any more. An error would be an end without a word."""
    _count(fault.reason)
    close = WebSocketEvent("CLOSE", POLICY + fault.detail.encode()[:100])
    answer = Response(encode_events([close]), mimetype=MIMETYPE)
    answer.headers["Surrogate-Control"] = answer.headers["Cache-Control"] = "no-store"
    return answer


def _refused(reason: str, detail: str) -> Response:
    _count(reason)
    return problem(_STATUS.get(reason, 401), detail)


def _count(reason: str) -> None:
    metrics.ACCESS_REFUSED.labels(reason).inc()
    # Neither the query nor a header, which may hold the token; and the route without a ticket.
    current_app.logger.warning(
        "refused %s %s (%s): %s from %s",
        request.method,
        request.url_rule.rule if request.url_rule else "",
        (request.view_args or {}).get("name") or (request.view_args or {}).get("topic") or "-",
        reason,
        parts().access.address(request),
    )


def seal(answer: Response) -> Response:
    """Keep an answer about something private to the one who asked."""
    about: Thing | None = g.get("private")
    if about is None:
        if request.method in ("POST", "OPTIONS"):
            _let_pages_of_allowed_sites(answer)
        return answer
    answer.headers["Surrogate-Control"] = "no-store"
    answer.headers["Cache-Control"] = "private, no-store"
    answer.headers.pop("Access-Control-Allow-Origin", None)
    answer.vary.update(("Authorization", "Cookie", "Origin"))
    _let_pages_of_allowed_sites(answer)
    if "grant" in g:
        bind(answer, about, g.grant)
    return answer


def _let_pages_of_allowed_sites(answer: Response) -> None:
    """To an allowed site's page a browser shows the answer; where it asks first, it may send what
    we take (WHATWG Fetch, 3.3).
    """
    site = parts().access.named_origin(request)
    if site is None:
        return
    answer.headers["Access-Control-Allow-Origin"] = site
    answer.headers["Access-Control-Allow-Credentials"] = "true"
    if request.method == "OPTIONS":
        answer.headers["Access-Control-Allow-Methods"] = "GET, HEAD, POST"
        answer.headers["Access-Control-Allow-Headers"] = (
            "Authorization, Content-Type, Idempotency-Key, Last-Event-ID"
        )
        answer.headers["Access-Control-Max-Age"] = "600"


def bind(answer: Response, about: Thing, grant: Grant) -> None:
    """End what is held when the token ends, and let it recover by a ticket until then."""
    left_s = max(1, math.ceil(grant.expires_at - time.time()) + 1)
    if answer.mimetype == MIMETYPE:
        until_expiry(answer, grant)
        return
    if "Grip-Channel" in answer.headers and about.right == "read":
        answer.headers["Grip-Channel"] = private_channel(answer.headers["Grip-Channel"])
    link = answer.headers.get("Grip-Link")
    tickets = parts().access.tickets
    if link is None or tickets is None:
        return
    ticket = _ticket() or tickets.issue(about.path, grant)
    held = f"<{about.path}/held/{ticket}"
    if not link.startswith(held):
        link = link.replace(f"<{about.path}", held, 1)
    if answer.headers.get("Grip-Hold") == "stream":
        link += f"; timeout={left_s}"
        answer.headers["Grip-Channel"] += f", {EXPIRY_CHANNEL}"
    answer.headers["Grip-Link"] = link


def until_expiry(answer: Response, grant: Grant) -> None:
    """Make Pushpin send a socket's next event, if only an empty one, when the token has ended."""
    left_s = max(1, math.ceil(grant.expires_at - time.time()) + 1)
    answer.headers["Keep-Alive-Interval"] = str(left_s)
