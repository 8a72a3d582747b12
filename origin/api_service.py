"""/api/: what holds for many values or for all: defaults, families, the purge budget, the audit."""

from __future__ import annotations

from flask import Response, request

from holdfast.errors import SettingError
from holdfast.moments import rfc3339
from holdfast.tuning import BUDGET, DEFAULT, check_budget
from holdfast.values import Rules
from origin.api import answer, body, change, described, desk, operators_blueprint, version_of
from origin.api_values import in_effect, tuned
from origin.parts import parts

blueprint = operators_blueprint("service_api", __name__)

AUDIT, MOST_AUDIT = 50, 500


@blueprint.route("/defaults", methods=["GET", "PUT", "DELETE"])
def defaults() -> Response:
    return tuned(DEFAULT, parts().values.defaults, {})


@blueprint.get("/families")
def list_families() -> Response:
    tuning = desk().mirror.read().tuning
    return answer(
        {
            "families": [
                {
                    "family": rules.name,
                    **described(tuning.get(f"family:{rules.name}")),
                    **in_effect(tuning, rules),
                }
                for rules in parts().values.tables
                if rules.family
            ]
        }
    )


@blueprint.route("/families/<pattern>", methods=["GET", "PUT", "DELETE"])
def family(pattern: str) -> Response:
    return tuned(f"family:{pattern}", _family(pattern), {"family": pattern})


def _family(pattern: str) -> Rules:
    for rules in parts().values.tables:
        if rules.family and rules.name == pattern:
            return rules
    raise SettingError(404, f"values.toml has no family {pattern}")


@blueprint.route("/budget", methods=["GET", "PUT", "DELETE"])
def budget() -> Response:
    """Keys that all values together may purge per second and per hour."""
    status = 200
    if request.method in ("GET", "HEAD"):
        tuning = desk().mirror.read().tuning
        version = version_of(tuning.get(BUDGET))
    else:
        new = body() if request.method == "PUT" else None
        if new is not None:
            check_budget(new)
        written, status = change(BUDGET, new, lambda _: None)
        tuning, version = written.tuning, version_of(written.tuning.get(BUDGET))
    effect = tuning.budget(desk().budget)
    left = desk().states.budget(effect)
    return answer(
        {
            **described(tuning.get(BUDGET)),
            "per_second": effect.per_second or None,
            "per_hour": effect.per_hour or None,
            "left": {"second": _rounded(left.second), "hour": _rounded(left.hour)},
            "waiting": left.waiting,
        },
        status,
        version=version,
    )


def _rounded(tokens: float | None) -> float | None:
    return None if tokens is None else round(tokens, 3)


@blueprint.get("/audit")
def audit() -> Response:
    """Every change, newest first: `limit`, `before` (an id of the page before)."""
    limit = _number("limit", AUDIT, MOST_AUDIT)
    before = _number("before", None, 2**63 - 1)
    found = desk().log.audit(limit or AUDIT, before)
    return answer(
        {
            "changes": [
                {
                    "id": each.offset,
                    "key": each.change.key,
                    "who": each.change.who,
                    "at": rfc3339(each.change.at_ms),
                    "from": each.change.before,
                    "to": each.change.after,
                }
                for each in found
            ]
        }
    )


def _number(name: str, otherwise: int | None, most: int) -> int | None:
    text = request.args.get(name)
    if text is None:
        return otherwise
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise SettingError(422, f"{name} must be a number from 1 to {most}")
    return int(text)
