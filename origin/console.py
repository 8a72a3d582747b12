"""/console/: the operators' page, its login, and its live stream."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, make_response, render_template, request

from holdfast.console_stream import CHANNEL, event
from holdfast.errors import SettingError
from holdfast.formats import SSE_COMMENT
from origin import metrics
from origin.answers import streaming
from origin.api import desk, never_cached
from origin.grip import hold_open
from origin.operators import client_address
from origin.parts import parts
from origin.problems import problem
from origin.security import page_headers
from origin.sessions import COOKIE, ForgedError, Session, is_secure, same_site

blueprint = Blueprint("console", __name__, url_prefix="/console")
blueprint.after_request(never_cached)

MOST_BODY_BYTES = 4096


@blueprint.before_request
def only_where_there_are_operators() -> None:
    desk()


def _session() -> Session | None:
    """Of the cookie; a forged one counts as a wrong token."""
    try:
        return desk().sessions.of(request)
    except ForgedError:
        address = client_address(request, desk().proxies)
        desk().operators.note_wrong(address)
        _note("wrong session", address)
        return None


def _note(reason: str, address: str) -> None:
    metrics.REFUSED.labels(reason).inc()
    current_app.logger.warning(
        "refused %s %s: %s from %s", request.method, request.path, reason, address
    )


def _to(path: str, status: int = 303) -> Response:
    # By hand: a redirect of Flask's names a host, and knows no port behind nginx.
    return Response(status=status, headers={"Location": path})


@blueprint.get("")
def without_slash() -> Response:
    return _to("/console/", 308)


@blueprint.get("/")
def page() -> Response:
    session = _session()
    if session is None:
        return _to("/console/login")
    answer = make_response(
        render_template(
            "console.html",
            who=session.who,
            csrf=desk().sessions.csrf_token(session),
            families=[rules.name for rules in parts().values.tables if rules.family],
        )
    )
    answer.headers.update(page_headers())
    return answer


@blueprint.get("/login")
def login_page() -> Response:
    return _to("/console/") if _session() is not None else _login_page()


@blueprint.post("/login")
def log_in() -> Response:
    """The form's `token` makes a session."""
    operators, address = desk().operators, client_address(request, desk().proxies)
    locked_out_s = operators.locked_out_s(address)
    if locked_out_s:
        _note("too many", address)
        answer = _login_page(429, f"Too many wrong tokens. Try again in {locked_out_s} s.")
        answer.headers["Retry-After"] = str(locked_out_s)
        return answer
    if not same_site(request):
        _note("wrong origin", address)
        return problem(403, "the form was sent by another site's page")
    if (request.content_length or 0) > MOST_BODY_BYTES:
        raise SettingError(413, f"the body is larger than {MOST_BODY_BYTES} bytes")
    who = operators.who(request.form.get("token", "").strip())
    if who is None:
        operators.note_wrong(address)
        _note("wrong token", address)
        return _login_page(401, "No operator has this token.")
    answer = _to("/console/")
    session = desk().sessions.begin(who)
    desk().sessions.set_cookie(answer, session, secure=is_secure(request))
    current_app.logger.info("%s logged in at the console from %s", who, address)
    return answer


@blueprint.post("/logout")
def log_out() -> Response:
    session = _session()
    if session is not None:
        if not desk().sessions.is_own(session, request):
            _note("wrong origin", client_address(request, desk().proxies))
            return problem(403, "only the console itself may log out")
        desk().sessions.end(session)
    answer = Response(status=204)
    answer.delete_cookie(COOKIE, httponly=True, samesite="Strict", secure=is_secure(request))
    return answer


@blueprint.get("/stream")
def stream() -> Response:
    """Overviews, one a second. Pushpin holds it, and asks again with the ticket upon a hint."""
    signed = parts().signatures.signed()
    ticket = request.args.get("ticket") if signed else None
    session = _session() if ticket is None else _of_ticket(ticket)
    if session is None and ticket is not None:
        # Of an error Pushpin would ask again and again; an answer without a hold is the end.
        return streaming(SSE_COMMENT, "text/event-stream")
    if session is None:
        return problem(401, "log in at /console/login")
    figures = desk().figures
    figures.watched()
    now = figures.now()
    answer = streaming(SSE_COMMENT if now is None else event(now), "text/event-stream")
    if signed:
        link = f"/console/stream?ticket={desk().sessions.ticket(session)}"
        hold_open(answer, CHANNEL, link, ":\\n\\n")
    return answer


def _of_ticket(ticket: str) -> Session | None:
    """Only Pushpin shows tickets: it does not repeat the browser's cookie."""
    try:
        return desk().sessions.of_ticket(ticket)
    except ForgedError:
        _note("wrong session", client_address(request, desk().proxies))
        return None


def _login_page(status: int = 200, message: str = "") -> Response:
    answer = make_response(render_template("login.html", message=message), status)
    answer.headers.update(page_headers(form="'self'"))
    return answer
