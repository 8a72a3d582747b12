"""`python -m publisher.relay`: makes every client once, wires the parts, runs until SIGTERM."""

from __future__ import annotations

import logging
import sys
import time

from prometheus_client import REGISTRY

from holdfast import topics
from holdfast.config import Settings, is_fanout
from holdfast.logs import Logs
from holdfast.relay_state import RelayState
from holdfast.state import connect
from holdfast.topics import Topics
from publisher import health, process
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


def _wanted(settings: Settings) -> Topics:
    rules = topics.load(settings.values)
    settings.require("relay")
    return rules


def main() -> int:
    settings, rules = process.configure("relay", log, _wanted)
    stopping = process.until_signalled()

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
    limits = FANOUT if any(map(is_fanout, settings.grip_url)) else PUSHPIN
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
