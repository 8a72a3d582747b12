"""/api/overview: the figures of the whole service, now and of the last 15 minutes."""

from __future__ import annotations

import dataclasses
import math

import msgspec
from flask import Response, request

from holdfast.errors import SettingError, UnavailableError
from holdfast.overview import Overview, decode
from holdfast.prediction import predict
from holdfast.tuning import check_knobs
from origin.api import answer, desk, operators_blueprint
from origin.api_values import rules_of

blueprint = operators_blueprint("overview_api", __name__)


@blueprint.get("/overview")
def overview() -> Response:
    return Response(_newest(), mimetype="application/json")


@blueprint.get("/overview/past")
def past() -> Response:
    """What the charts show: a point a second."""
    return Response(desk().figures.past(), mimetype="application/json")


@blueprint.get("/values/<name>/prediction")
def prediction(name: str) -> Response:
    """What the arithmetic says of `rate` (releases/s), given what is measured now."""
    rules = desk().mirror.read().tuning.rules(rules_of(name))
    rate = _rate(request.args.get("rate"), rules.rate)
    try:
        now = decode(_newest())
    except msgspec.DecodeError as error:  # made by another release of Holdfast
        raise UnavailableError(f"the figures can't be read: {error}") from error
    updates = next((value.updates_per_s for value in now.values if value.name == name), 0.0)
    requests = _requests(now)
    found = predict(rate, updates, [requests], nodes=max(1, len(now.edges)))
    return answer(
        {
            "name": name,
            "rate": rate,
            "given": {"updates_per_s": updates, "requests_per_s": requests},
            "predicted": dataclasses.asdict(found),
        }
    )


def _newest() -> bytes:
    found = desk().figures.now()
    if found is None:
        raise UnavailableError("no publisher has gathered figures lately")
    return found


def _rate(text: str | None, otherwise: float) -> float:
    if text is None:
        return otherwise
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not math.isfinite(rate):
        raise SettingError(422, "rate must be a number")
    check_knobs({"rate": rate})
    return rate


def _requests(now: Overview) -> float:
    """Of all edge nodes, per second: as if all of them were for this value."""
    return round(sum(edge.requests_per_s or 0.0 for edge in now.edges), 3)
