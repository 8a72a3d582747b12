"""/api/values: every value as operators see it; its rates, its pause, a purge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Response, request

from holdfast.errors import SettingError
from holdfast.moments import rfc3339
from holdfast.operator_settings import Thing
from holdfast.tuning import Tuning, check_knobs
from holdfast.value_states import ValueState
from holdfast.values import KNOBS, Rules
from origin.api import answer, body, change, described, desk, operators_blueprint, version_of
from origin.parts import parts

blueprint = operators_blueprint("values_api", __name__)

PAGE, MOST_PAGE = 100, 1000


def in_effect(tuning: Tuning, rules: Rules) -> dict[str, Any]:
    """The rules in effect, and where each comes from."""
    effect = tuning.rules(rules)
    return {
        "rules": {knob: getattr(effect, knob) for knob in KNOBS},
        "from": tuning.sources(rules),
    }


def check(tuning: Tuning) -> None:
    """Raise SettingError when that leaves some value with rules that make no sense."""
    tuning.check(parts().values)


def knobs() -> Thing:
    """What the body sets: rate, burst, threshold, settle, some of them."""
    thing = body()
    check_knobs(thing)
    if not thing:
        raise SettingError(422, "it sets nothing; DELETE goes back to what holds otherwise")
    return thing


def tuned(key: str, rules: Rules, names: Mapping[str, Any]) -> Response:
    """GET, PUT and DELETE of what operators set under `key`."""
    status = 200
    if request.method == "GET" or request.method == "HEAD":
        tuning = desk().mirror.read().tuning
        version = version_of(tuning.get(key))
    else:
        new = knobs() if request.method == "PUT" else None
        written, status = change(key, new, check)
        tuning, version = written.tuning, version_of(written.tuning.get(key))
    return answer(
        {**names, **described(tuning.get(key)), **in_effect(tuning, rules)}, status, version=version
    )


def rules_of(name: str) -> Rules:
    """What values.toml says of the value. Raises SettingError: 404."""
    rules = parts().values.rules(name)
    if rules is None:
        raise SettingError(404, f"no value is called {name}")
    return rules


@blueprint.get("/values")
def list_values() -> Response:
    """A page of values by name: `prefix`, `after` (a name), `limit`."""
    try:
        limit = int(request.args.get("limit", PAGE))
    except ValueError:
        limit = 0
    if not 1 <= limit <= MOST_PAGE:
        raise SettingError(422, f"limit must lie between 1 and {MOST_PAGE}")
    prefix, after = request.args.get("prefix", ""), request.args.get("after", "")
    names = [
        name
        for name in desk().states.names(parts().values)
        if name.startswith(prefix) and name > after
    ]
    shown = names[:limit]
    following = shown[-1] if len(names) > limit else None
    return answer({"values": _described(shown), "next": following})


@blueprint.get("/values/<name>")
def get_value(name: str) -> Response:
    rules_of(name)
    return answer(_described([name])[0])


@blueprint.route("/values/<name>/rate", methods=["GET", "PUT", "DELETE"])
def rate(name: str) -> Response:
    return tuned(f"value:{name}", rules_of(name), {"name": name})


@blueprint.post("/values/<name>/pause")
def pause(name: str) -> Response:
    """Stop the value's releases; updates are applied all the same. It may be paused already."""
    return _told(name, "pause", {})


@blueprint.post("/values/<name>/resume")
def resume(name: str) -> Response:
    return _told(name, "pause", None)


@blueprint.post("/values/<name>/purge")
def purge(name: str) -> Response:
    """Purge the value at every edge node, and confirm its newest release to every viewer."""
    return _told(name, "purge", {}, always=True)


def _told(name: str, kind: str, thing: Thing | None, *, always: bool = False) -> Response:
    rules_of(name)
    written, status = change(
        f"{kind}:{name}", thing, lambda _: None, conditional=False, always=always
    )
    return answer(
        {"name": name, "paused": _pause(written.tuning, name), "in_effect": status == 200}, status
    )


def _pause(tuning: Tuning, name: str) -> Mapping[str, Any] | None:
    """Who paused the value, and when; None = it goes on."""
    setting = tuning.get(f"pause:{name}")
    return None if setting is None else {"who": setting.who, "at": rfc3339(setting.at_ms)}


def _described(names: list[str]) -> list[dict[str, Any]]:
    tuning = desk().mirror.read().tuning
    written = [rules_of(name) for name in names]
    states = desk().states.read([tuning.rules(rules) for rules in written])
    return [
        {
            "name": rules.name,
            "reduce": rules.reduce,
            "topic": rules.topic,
            "default": rules.default,
            **in_effect(tuning, rules),
            "paused": _pause(tuning, rules.name),
            **_state(state),
        }
        for rules, state in zip(written, states, strict=True)
    ]


def _state(state: ValueState) -> dict[str, Any]:
    return {
        "working": None if state.working is None else msgspec.Raw(state.working),
        "released": None if state.released is None else msgspec.Raw(state.released),
        "version": state.version,
        "released_at": rfc3339(state.released_at_ms) if state.released_at_ms else None,
        "changed_at": None if state.changed_at_us is None else rfc3339(state.changed_at_us // 1000),
        "dirty": state.dirty,
        "tokens": round(state.tokens, 3),
        "waits_for_budget": state.waits_for_budget,
    }
