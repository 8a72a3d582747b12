"""`python -m publisher`: makes every client once, wires the parts, runs until SIGTERM."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time

from holdfast import config, values
from holdfast.errors import ConfigError
from holdfast.logs import Logs
from holdfast.settings_mirror import SettingsMirror
from holdfast.state import State, connect
from publisher import health
from publisher.addresses import Addresses
from publisher.announce import Announcer
from publisher.fleet import Fleet, Lookout
from publisher.kafka import ensure_topics, make_consumer, make_producer
from publisher.loop import Publisher
from publisher.newest import Newest
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
    edges = Fleet(
        Addresses(settings.purge_urls),
        lambda url: EdgeNode(url, settings.fastly_service_id, token),
    )
    origins = Addresses(settings.origin_urls)
    client = connect(settings.redis_url)
    state = State(client)
    newest = Newest(state)
    pushpins = Fleet(
        Addresses(settings.grip_url),
        lambda url: PushNode(url, newest, fastly_key=token, private=rules.private),
    )
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
        lambda: origins.urls, lambda: publisher.leads, announcer.hint_stale, stopping
    )
    lookout = Lookout((edges.look, pushpins.look, origins.look), stopping)
    for part in (edges, pushpins, announcer, hints, lookout):
        part.start()
    if settings.metrics_port:
        health.serve(
            settings.metrics_host,
            settings.metrics_port,
            lambda: time.monotonic() - publisher.stepped_at < STUCK_AFTER_S,
        )

    log.info("publishing %s as %s", ", ".join(rules.topics), settings.slot)
    publisher.run(stopping)
    announcer.stop()
    edges.stop()
    pushpins.stop()
    consumer.close()
    log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
