"""`python -m publisher`: makes every client once, wires the parts, runs until SIGTERM."""

from __future__ import annotations

import logging
import sys
import time

from prometheus_client import REGISTRY

from holdfast import console_stream, values
from holdfast.budget import Budget
from holdfast.config import Settings
from holdfast.figures import Figures
from holdfast.logs import Logs
from holdfast.records import high_watermark
from holdfast.settings_mirror import SettingsMirror
from holdfast.state import State, connect
from holdfast.value_states import ValueStates
from holdfast.values import Values
from publisher import health, metrics, presence, process, scrape
from publisher.addresses import Addresses
from publisher.announce import Announcer
from publisher.collector import Collector
from publisher.fleet import Fleet, Lookout
from publisher.gather import Gatherer
from publisher.gauges import Reading, Service
from publisher.kafka import ensure_topics, make_consumer, make_producer
from publisher.loop import Publisher
from publisher.newest import Newest
from publisher.purge import EdgeNode
from publisher.push import PushNode
from publisher.report import Reporter
from publisher.scrape import Scraper
from publisher.stale import StaleHints
from publisher.trail import Arrivals
from publisher.tuner import Tuner

log = logging.getLogger("publisher")

STUCK_AFTER_S = 30.0


def _wanted(settings: Settings) -> tuple[Values, str]:
    rules = values.load(settings.values)
    settings.require("publisher")
    return rules, settings.secret("fastly_key")


def main() -> int:
    settings, (rules, token) = process.configure("publisher", log, _wanted)
    stopping = process.until_signalled()

    metrics.begin(rules.topics)
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
    arrivals = Arrivals(settings.metrics_values)
    tuner = Tuner(SettingsMirror(client))
    announcer = Announcer(state, edges, pushpins, arrivals=arrivals)
    consumer = make_consumer(settings)
    producer = make_producer(settings)
    publisher = Publisher(
        settings,
        rules,
        state,
        tuner,
        Logs(settings.cluster),
        consumer,
        producer,
        announcer,
    )
    hints = StaleHints(
        lambda: origins.urls, lambda: publisher.leads, announcer.hint_stale, stopping
    )
    pages = [Addresses(settings.edge_metrics_urls), Addresses(settings.pushpin_metrics_urls)]
    scrapers = (
        Scraper(lambda: pages[0].urls, scrape.EDGE),
        Scraper(lambda: pages[1].urls, scrape.PUSHPIN),
    )
    unset_budget = Budget(settings.budget_per_second, settings.budget_per_hour)
    collector = Collector(
        settings.slot,
        Figures(client),
        Reporter(
            settings.slot,
            publisher.activity,
            edges,
            pushpins,
            publisher.standing,
            lambda partition: high_watermark(consumer, partition),
            lambda: tuner.caught_up,
        ),
        Gatherer(
            settings.slot,
            rules,
            ValueStates(client),
            lambda: tuner.tuning,
            unset_budget,
            *scrapers,
        ),
        lambda: publisher.leads,
        lambda overview: announcer.console(console_stream.item(overview)),
        lambda: announcer.console(console_stream.renewal()),
        stopping,
    )
    looks = (edges.look, pushpins.look, origins.look, *(page.look for page in pages))
    lookout = Lookout(looks, stopping)
    for part in (edges, pushpins, announcer, hints, lookout, collector):
        part.start()
    gauges = (
        Reading(publisher.behind, lambda: publisher.stepped_at),
        Service(
            lambda: publisher.leads,
            lambda: tuner.tuning.budget(unset_budget),
            lambda: tuner.tuning.paused,
            ValueStates(client),
        ),
    )
    for gauge in gauges:
        REGISTRY.register(gauge)
    no_presence = presence.fault(rules)
    if settings.pushpin_metrics_urls and no_presence:
        log.info("nobody counts viewers: %s", no_presence)
    viewers = rules.rules(presence.NAME)
    if settings.pushpin_metrics_urls and viewers is not None and not no_presence:
        presence.Presence(
            viewers,
            lambda: pages[1].urls,
            presence.Counts(presence.PushpinMetrics()),
            ValueStates(client),
            producer,
            lambda: publisher.leads,
            stopping,
        ).start()
    if settings.metrics_port:
        health.serve(
            settings.metrics_host,
            settings.metrics_port,
            lambda: time.monotonic() - publisher.stepped_at < STUCK_AFTER_S,
        )

    log.info("publishing %s as %s", ", ".join(rules.topics), settings.slot)
    publisher.run(stopping)
    collector.join(2.0)
    announcer.stop()
    for gauge in gauges:
        REGISTRY.unregister(gauge)
    edges.stop()
    pushpins.stop()
    consumer.close()
    log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
