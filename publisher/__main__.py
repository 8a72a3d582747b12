"""`python -m publisher`: makes every client once, wires the parts, runs until SIGTERM."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from typing import Any

from holdfast import config, values
from holdfast.errors import ConfigError
from holdfast.logs import Logs
from holdfast.settings_mirror import SettingsMirror
from holdfast.state import State, connect
from publisher import health
from publisher.announce import Announcer
from publisher.kafka import ensure_topics, make_consumer, make_producer
from publisher.loop import Publisher
from publisher.nodes import Node
from publisher.purge import EdgeNode
from publisher.push import PushNode
from publisher.stale import StaleHints
from publisher.tuner import Tuner

log = logging.getLogger("publisher")

STUCK_AFTER_S = 30.0


def main() -> int:
    try:
        settings = config.load()
        logging.basicConfig(
            level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        config.warn(log)
        rules = values.load(settings.values)
        settings.require("publisher")
        token = settings.secret("fastly_key")
    except ConfigError as error:
        sys.stderr.write(f"publisher: {error}\n")
        return 2

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())

    ensure_topics(settings, rules, stopping)
    edges = [EdgeNode(url, settings.fastly_service_id, token) for url in settings.purge_urls]
    pushpins = [PushNode(url, fastly_key=token) for url in settings.grip_url]
    client = connect(settings.redis_url)
    state = State(client)
    announcer = Announcer(state, edges, pushpins)
    consumer = make_consumer(settings)
    publisher = Publisher(
        settings,
        rules,
        state,
        Tuner(SettingsMirror(client)),
        Logs(settings.cluster),
        consumer,
        make_producer(settings),
        announcer,
    )
    hints = StaleHints(
        settings.origin_urls, lambda: publisher.leads, announcer.hint_stale, stopping
    )
    nodes: list[Node[Any]] = [*edges, *pushpins]
    for thread in (*nodes, announcer, hints):
        thread.start()
    if settings.metrics_port:
        health.serve(
            settings.metrics_host,
            settings.metrics_port,
            lambda: time.monotonic() - publisher.stepped_at < STUCK_AFTER_S,
        )

    log.info("publishing %s as %s", ", ".join(rules.topics), settings.slot)
    publisher.run(stopping)
    announcer.stop()
    for node in nodes:
        node.stop()
    consumer.close()
    log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
