"""/health and /metrics: for probes and Prometheus; neither nginx nor the edge routes them."""

from __future__ import annotations

from flask import Blueprint, Response

from origin import drain
from origin.metrics import exposition
from origin.parts import parts
from origin.problems import problem

blueprint = Blueprint("health", __name__)


@blueprint.get("/health/live")
def live() -> Response:
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/health/ready")
def ready() -> Response:
    """200 while Redis answers and its view can be trusted. Kafka isn't asked: reads need none.

    503 as well once the origin is told to stop and drains.
    """
    if drain.begun():
        return problem(503, "this origin is stopping")
    state = parts().state
    if not state.view(parts().values.default).ready:
        # Perhaps a master of before, which goes on answering who is connected.
        state.reconnect()
        return problem(503, "the state is being rebuilt")
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/metrics")
def metrics() -> Response:
    body, content_type = exposition()
    return Response(body, content_type=content_type)
