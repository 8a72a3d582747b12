"""/api/: what is common to all of the operators' routes. Nothing here is ever cached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from flask import Blueprint, Response, current_app, g, request

from holdfast.errors import SettingError
from holdfast.moments import rfc3339
from holdfast.operator_settings import Setting, Thing
from holdfast.tuning import Tuning
from origin import metrics
from origin.desk import Desk
from origin.operators import bearer, client_address
from origin.parts import parts
from origin.problems import problem
from origin.request_id import request_id
from origin.sessions import CSRF_HEADER, ForgedError
from origin.settings_log import Written

MOST_BODY_BYTES = 4096


def desk() -> Desk:
    """The desk of this application. Raises SettingError: 404 where no operator has a token."""
    found = parts().desk
    if found is None:
        raise SettingError(404, "no operator has a token here: HOLDFAST_OPERATOR_TOKENS")
    return found


def operators_blueprint(name: str, import_name: str) -> Blueprint:
    """Routes below /api that are for operators only."""
    blueprint = Blueprint(name, import_name, url_prefix="/api")
    blueprint.before_request(only_operators)
    blueprint.after_request(never_cached)
    return blueprint


def only_operators() -> Response | None:
    """Let nobody through but an operator; g.operator is who."""
    operators, address = desk().operators, client_address(request, desk().proxies)
    locked_out_s = operators.locked_out_s(address)
    if locked_out_s:
        answer = _refused("too many", address, 429, "too many wrong tokens from this address")
        answer.headers["Retry-After"] = str(locked_out_s)
        return answer
    token = bearer(request)
    if token is None:
        return _by_session(address)
    g.operator = operators.who(token)
    if g.operator is None:
        operators.note_wrong(address)
        return _challenge("wrong token", address, 'Bearer error="invalid_token"')
    return None


def _by_session(address: str) -> Response | None:
    """The console shows a cookie instead of a token; and changes must come from the console."""
    try:
        session = desk().sessions.of(request)
    except ForgedError:
        desk().operators.note_wrong(address)
        return _challenge("wrong session", address, "Bearer")
    if session is None:
        return _challenge("no token", address, "Bearer")
    if request.method not in ("GET", "HEAD") and not desk().sessions.is_own(session, request):
        return _refused("wrong origin", address, 403, f"a change needs the header {CSRF_HEADER}")
    g.operator = session.who
    return None


def _challenge(reason: str, address: str, scheme: str) -> Response:
    answer = _refused(reason, address, 401, "send the token of an operator: Authorization: Bearer")
    answer.headers["WWW-Authenticate"] = scheme
    return answer


def _refused(reason: str, address: str, status: int, detail: str) -> Response:
    metrics.REFUSED.labels(reason).inc()
    fields = {"request_id": request_id(), "address": address, "reason": reason}
    current_app.logger.warning(
        "refused %s %s: %s from %s",
        *(request.method, request.path, reason, address),
        extra={"fields": fields},
    )
    return problem(status, detail)


def never_cached(answer: Response) -> Response:
    answer.headers["Cache-Control"] = answer.headers["Surrogate-Control"] = "no-store"
    return answer


def answer(body: Any, status: int = 200, *, version: int | None = None) -> Response:
    """JSON; `version` makes the ETag."""
    response = Response(msgspec.json.encode(body), status, mimetype="application/json")
    if version is not None:
        response.set_etag(str(version))
    return response


def version_of(setting: Setting | None) -> int:
    """0 = nothing is set."""
    return 0 if setting is None else setting.version


def described(setting: Setting | None) -> Mapping[str, Any]:
    """What an operator has set, and who did."""
    if setting is None:
        return {"set": None, "who": None, "at": None}
    return {"set": setting.to, "who": setting.who, "at": rfc3339(setting.at_ms)}


def body() -> Thing:
    """The request's JSON object. Raises SettingError: 413, 415, 422."""
    if request.mimetype != "application/json":
        raise SettingError(415, "send it as application/json")
    data = request.get_data(cache=False)
    if len(data) > MOST_BODY_BYTES:
        raise SettingError(413, f"the body is larger than {MOST_BODY_BYTES} bytes")
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingError(400, f"the body is not JSON: {error}") from None
    except RecursionError:
        raise SettingError(422, "the JSON is nested too deeply") from None
    if not isinstance(document, dict):
        raise SettingError(422, "the body must be an object")
    return document


def change(
    key: str,
    new: Thing | None,
    check: Callable[[Tuning], None],
    *,
    conditional: bool = True,
    always: bool = False,
) -> tuple[Written, int]:
    """Set a key as this request says. What is set from then on, and the status to answer with.

    check: raises SettingError when what would be set from then on makes no sense. conditional: only
    if the key is as If-Match says, which must be there. 202: no publisher has taken it so far.
    """
    if conditional and not request.if_match:
        raise SettingError(428, 'send If-Match with the ETag that you have seen, or "*" for any')

    def decide(tuning: Tuning) -> Thing | None:
        now = tuning.get(key)
        if conditional and not request.if_match.contains(str(version_of(now))):
            who = "nothing is set any more" if now is None else f"{now.who} set it to {now.to}"
            raise SettingError(412, f"it was changed meanwhile: {who}")
        after = None if new is None else Setting(key, 0, g.operator, 0, new)
        check(tuning.having(key, after))
        return new

    written = desk().log.change(key, g.operator, decide, always=always)
    return written, 200 if desk().in_effect(written.version) else 202
