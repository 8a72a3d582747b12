"""/api/webhooks: who is sent which releases, and how they take it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, g

from holdfast.errors import SettingError
from holdfast.hook_states import HookState
from holdfast.hooks import (
    ID,
    KIND,
    MOST_HOOKS,
    Hook,
    check_hook,
    hook_of,
    hooks_of,
    new_id,
    new_secret,
)
from holdfast.moments import rfc3339
from holdfast.operator_settings import MASK, Setting, Thing
from holdfast.tuning import Tuning
from origin.api import answer, body, desk, operators_blueprint
from origin.api_values import rules_of

blueprint = operators_blueprint("hooks_api", __name__)


@blueprint.get("/webhooks")
def list_hooks() -> Response:
    hooks = sorted(hooks_of(desk().mirror.read().tuning).values(), key=lambda hook: hook.version)
    states = desk().hooks.read(hooks)
    return answer({"webhooks": [_described(hook, states[hook.id]) for hook in hooks]})


@blueprint.post("/webhooks")
def create_hook() -> Response:
    """The only answer that holds the secret."""
    thing = check_hook({"secret": new_secret(), **body()})
    if "*" not in thing["values"]:
        rules_of(thing["values"])

    def decide(tuning: Tuning) -> Thing:
        if len(hooks_of(tuning)) >= MOST_HOOKS:
            raise SettingError(422, f"there are {MOST_HOOKS} webhooks; delete one first")
        return thing

    hook, status = _write(new_id(), decide)
    created = answer(
        {**_described(hook, HookState()), "secret": hook.secret}, 201 if status == 200 else status
    )
    created.headers["Location"] = f"/api/webhooks/{hook.id}"
    return created


@blueprint.get("/webhooks/<hook_id>")
def get_hook(hook_id: str) -> Response:
    setting = desk().mirror.read().tuning.get(_key(hook_id))
    hook = None if setting is None else hook_of(setting)
    if hook is None:
        raise _no_such(hook_id)
    return answer(_described(hook, desk().hooks.read([hook])[hook.id]))


@blueprint.delete("/webhooks/<hook_id>")
def delete_hook(hook_id: str) -> Response:
    def decide(tuning: Tuning) -> None:
        if tuning.get(_key(hook_id)) is None:
            raise _no_such(hook_id)

    written = desk().log.change(_key(hook_id), g.operator, decide)
    status = 200 if desk().in_effect(written.version) else 202
    desk().hooks.forget(hook_id)
    return answer({"id": hook_id, "deleted": True}, status)


@blueprint.post("/webhooks/<hook_id>/enable")
def enable_hook(hook_id: str) -> Response:
    """Try again at once, with what the receiver has missed: each value's newest release."""

    def decide(tuning: Tuning) -> Thing:
        setting = tuning.get(_key(hook_id))
        if setting is None:
            raise _no_such(hook_id)
        return setting.to

    hook, status = _write(hook_id, decide)
    return answer(_described(hook, desk().hooks.read([hook])[hook.id]), status)


def _write(hook_id: str, decide: Any) -> tuple[Hook, int]:
    """The hook as it is from then on. 202: nobody knows of it so far."""
    key = _key(hook_id)
    written = desk().log.change(key, g.operator, decide, always=True)
    setting: Setting | None = written.tuning.get(key)
    hook = None if setting is None else hook_of(setting)
    if hook is None:
        raise _no_such(hook_id)
    return hook, 200 if desk().in_effect(written.version) else 202


def _key(hook_id: str) -> str:
    if not ID.fullmatch(hook_id):
        raise _no_such(hook_id)
    return f"{KIND}:{hook_id}"


def _no_such(hook_id: str) -> SettingError:
    return SettingError(404, f"no webhook is called {hook_id}")


def _described(hook: Hook, state: HookState) -> Mapping[str, Any]:
    return {
        "id": hook.id,
        "url": hook.url,
        "values": hook.values,
        "secret": MASK,
        "who": hook.who,
        "at": rfc3339(hook.at_ms),
        "state": state.word,
        "disabled": {"reason": state.reason, "at": rfc3339(state.disabled_at_ms)}
        if state.disabled
        else None,
        "failures": state.failures,
        "failing_since": _moment(state.failing_since_ms),
        "last": {
            "status": state.last_status or None,
            "error": state.last_error or None,
            "at": _moment(state.last_at_ms),
        },
        "delivered_at": _moment(state.delivered_at_ms),
    }


def _moment(at_ms: int) -> str | None:
    return rfc3339(at_ms) if at_ms else None
