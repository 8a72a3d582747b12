"""`python -m publisher.relay`: makes every client once, wires the parts, runs until SIGTERM."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time

from prometheus_client import REGISTRY

from holdfast import config, log_format, topics
from holdfast.errors import ConfigError
from holdfast.logs import Logs
from holdfast.relay_state import RelayState
from holdfast.state import connect
from publisher import health
from publisher.addresses import Addresses
from publisher.fleet import Fleet, Lookout
from publisher.gauges import Reading
from publisher.kafka import ensure_named, make_relay_consumer
from publisher.relay.batch import FANOUT, PUSHPIN, Batch
from publisher.relay.loop import Relay
from publisher.relay.metrics import GAPS, RELAYED, REWINDS
from publisher.relay.node import RelayNode
from publisher.relay.watch import TopicWatch

log = logging.getLogger("relay")

STUCK_AFTER_S = 30.0


def main() -> int:
    try:
        settings = config.load()
        log_format.set_up(settings.log_level, settings.log_format)
        config.warn(log)
        rules = topics.load(settings.values)
        settings.require("relay")
    except ConfigError as error:
        sys.stderr.write(f"relay: {error}\n")
        return 2

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())

    if not rules:
        log.info("values.toml has no [events]: nothing is relayed")
    for topic in rules.exact:
        for counter in (RELAYED, REWINDS, GAPS):
            counter.labels(topic)
    ensure_named(settings, rules.exact, stopping)
    state = RelayState(connect(settings.redis_url))

    def confirms(topic: str, keys: set[str]) -> Batch | None:
        return relay.confirms(topic, keys)

    token = settings.optional("fastly_key")
    nodes = Fleet(
        Addresses(settings.grip_url), lambda url: RelayNode(url, confirms, fastly_key=token)
    )
    consumer = make_relay_consumer(settings)
    watch = TopicWatch(settings.cluster, rules, stopping)
    limits = FANOUT if any(map(config.is_fanout, settings.grip_url)) else PUSHPIN
    logs = Logs(settings.cluster)
    relay = Relay(settings.slot, rules, state, logs, consumer, watch, nodes, limits=limits)
    for part in (watch, nodes, Lookout([nodes.look], stopping)):
        part.start()
    reading = Reading(relay.behind, lambda: relay.stepped_at)
    REGISTRY.register(reading)
    if settings.metrics_port:
        health.serve(
            settings.metrics_host,
            settings.metrics_port,
            lambda: relay.ready and time.monotonic() - relay.stepped_at < STUCK_AFTER_S,
        )

    log.info("relaying as %s", settings.slot)
    relay.run(stopping)
    relay.leave()
    REGISTRY.unregister(reading)
    nodes.stop()
    consumer.close()
    log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
