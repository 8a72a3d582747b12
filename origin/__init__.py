"""The origin: a cacheable Flask application. It answers; the edge caches; Pushpin holds."""

from __future__ import annotations

from flask import Flask

from holdfast import config, topics, values
from holdfast.relay_state import RelayState
from holdfast.state import State, connect
from holdfast.updates import MAX_BODY_BYTES
from origin import (
    api_hooks,
    api_overview,
    api_service,
    api_values,
    console,
    events,
    guard,
    health,
    metrics,
    page,
    problems,
    request_id,
    security,
    stream,
    value_routes,
    websocket,
)
from origin.access import Access
from origin.desk import Desk
from origin.grip import Signatures
from origin.parts import Parts
from origin.produce import UpdateProducer
from origin.replay import Replay


def create_app(parts: Parts | None = None) -> Flask:
    """The WSGI application; reads the environment unless a test passes `parts`.

    Raises ConfigError when a setting is missing or wrong. Connects to nothing.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    # A redirect from //x to /x would be one more answer to get right, and to cache.
    app.url_map.merge_slashes = False
    app.extensions["holdfast"] = parts or _parts()
    problems.register(app)
    metrics.register(app)
    security.register(app)
    request_id.register(app)
    guard.register(app)
    for module in (
        *(page, value_routes, stream, events, websocket, health),
        *(api_values, api_service, api_overview, api_hooks, console),
    ):
        app.register_blueprint(module.blueprint)
    return app


def _parts() -> Parts:
    settings = config.load()
    settings.require("origin")
    client = connect(settings.redis_url)
    known_values, known_topics = values.load(settings.values), topics.load(settings.values)
    return Parts(
        values=known_values,
        state=State(client),
        producer=UpdateProducer(settings.cluster),
        signatures=Signatures(
            settings.optional("grip_key"), settings.grip_verify_key or (), settings.issuer
        ),
        topics=known_topics,
        relay=RelayState(client),
        replay=Replay(settings.cluster),
        desk=Desk.of(settings, client),
        access=Access.of(settings, known_values, known_topics),
    )
