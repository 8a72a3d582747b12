"""/stream: the default value as plain text, a line per release."""

from __future__ import annotations

from flask import Blueprint, Response

from holdfast.formats import TEXT_CHANNEL, TEXT_COMMENT, text_release
from holdfast.snapshots import Snapshot
from origin.after import After
from origin.answers import BRIEF_S, MAX_AGE_S, of_snapshot, streaming, wants_hold
from origin.grip import hold
from origin.parts import parts
from origin.views import snapshot_of, view_of

blueprint = Blueprint("stream", __name__)

TEXT_KEEP_ALIVE = "\\n"


@blueprint.get("/stream")
def get_stream() -> Response:
    rules = parts().values.default
    snapshot = snapshot_of(rules, view_of(rules))
    if snapshot is None:  # the default value is an exact one, so it always exists
        snapshot = Snapshot.unreleased(rules.name, rules.reduce)
    seen = After.of_request().seen(snapshot)
    answer = of_snapshot(
        streaming(TEXT_COMMENT if seen else text_release(snapshot), "text/plain"),
        snapshot,
        max_age=BRIEF_S if seen else MAX_AGE_S,
    )
    if parts().signatures.signed() and wants_hold():
        hold(answer, TEXT_CHANNEL, snapshot.version, "/stream?recover", TEXT_KEEP_ALIVE)
    return answer
