"""A value's newest release as a snapshot, a long-poll's answer, or the beginning of a stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Response

from holdfast import ndjson
from holdfast.formats import SSE_COMMENT, ndjson_channel, sse_release, sse_reset, value_channel
from holdfast.polls import etag
from holdfast.snapshots import Snapshot
from origin.after import After
from origin.answers import BRIEF_S, MAX_AGE_S, of_snapshot, streaming, wants_hold
from origin.grip import hold, hold_back
from origin.parts import parts


@dataclass(frozen=True, slots=True)
class Streamed:
    """How a stream looks. name: in `?as=`; comment: says nothing; keep_alive: it, C-escaped."""

    name: str
    mimetype: str
    comment: bytes
    keep_alive: str
    channel: Callable[[str], str]
    release: Callable[[Snapshot], bytes]
    reset: Callable[[str], bytes]


SSE = Streamed(
    "sse", "text/event-stream", SSE_COMMENT, ":\\n\\n", value_channel, sse_release, sse_reset
)
NDJSON = Streamed(
    "ndjson",
    "application/x-ndjson",
    ndjson.COMMENT,
    "\\n",
    ndjson_channel,
    ndjson.release,
    ndjson.reset,
)


def stream_answer(snapshot: Snapshot, after: After, streamed: Streamed) -> Response:
    """The beginning of a stream; held open when Pushpin asks."""
    max_age = MAX_AGE_S
    reason = after.reset_reason(snapshot)
    if reason is not None:
        body = streamed.reset(reason) + streamed.release(snapshot)
        max_age = BRIEF_S
    elif after.seen(snapshot):
        # A comment all the same: proxies and clients wait for a first byte.
        body, max_age = streamed.comment, BRIEF_S
    else:
        body = streamed.release(snapshot)
    answer = of_snapshot(streaming(body, streamed.mimetype), snapshot, max_age=max_age)
    # Asked for on every request, so that a false signature never gets a stream.
    if parts().signatures.signed() and wants_hold():
        link = f"/values/{snapshot.name}?recover&as={streamed.name}"
        channel = streamed.channel(snapshot.name)
        hold(answer, channel, snapshot.version, link, streamed.keep_alive)
    return answer


def snapshot_answer(snapshot: Snapshot, after: After, wait_s: int | None) -> Response:
    """The snapshot; 204 for who has it, which Pushpin holds back for `wait_s` (None: it doesn't).

    Whose id leads nowhere gets the snapshot: it is the truth, whatever he has seen.
    """
    if not after.seen(snapshot):
        answer = of_snapshot(
            Response(snapshot.encode(), mimetype="application/json"),
            snapshot,
            max_age=BRIEF_S if after.reset_reason(snapshot) else MAX_AGE_S,
        )
        answer.set_etag(etag(snapshot))
        return answer
    nothing_newer = Response(status=204)
    del nothing_newer.headers["Content-Type"]
    if wait_s is None or not (parts().signatures.signed() and wants_hold()):
        return of_snapshot(nothing_newer, snapshot, max_age=BRIEF_S)
    # One for all who wait for the next release, so it is kept until then. Not for when the origin
    # is away: each release would leave one behind for a day.
    answer = of_snapshot(nothing_newer, snapshot, stale_if_error=False)
    hold_back(answer, value_channel(snapshot.name), snapshot.version, wait_s)
    return answer
