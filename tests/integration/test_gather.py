"""The overview: of several publishers' reports, a real Redis, and pages of metrics over HTTP."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from holdfast import overview
from holdfast.budget import Budget
from holdfast.figures import Figures
from holdfast.operator_settings import Setting
from holdfast.state import Partition, State
from holdfast.tuning import Tuning
from holdfast.value_states import ValueStates
from holdfast.values import parse
from publisher import scrape
from publisher.activity import Activity
from publisher.collector import Collector
from publisher.gather import Gatherer
from publisher.partitions import Standing
from publisher.purge import EdgeNode
from publisher.report import NodeReport, PartitionReport, Report, Reporter
from publisher.scrape import Scraper
from tests.e2e.viewers import until
from tests.integration.folds import adds, sets

VALUES = parse("""
[values.counter]
reduce = "sum"
default = true
[values."note.*"]
reduce = "latest"
""")
EDGES = ["http://edge-1:6081", "http://edge-2:6081"]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def pages(*counters):
    """Servers whose /metrics shows these, which the test may change; their URLs."""
    servers = []
    for each in counters:

        class Handler(BaseHTTPRequestHandler):
            shown = each

            def do_GET(self):
                body = "".join(f"{name} {value}\n" for name, value in self.shown.items()).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
    try:
        yield [f"http://127.0.0.1:{server.server_port}" for server in servers]
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


class Bench:
    def __init__(self, client, edge_pages=(), pushpin_pages=(), settings=()):
        self.clock = Clock()
        self.state = State(client)
        self.figures = Figures(client)
        self.partition = Partition("updates", 0)
        self.state.heartbeat(self.partition, 0, 0, 1, True, "")
        self.gatherer = Gatherer(
            "publisher-1",
            VALUES,
            ValueStates(client),
            lambda: Tuning(settings),
            Budget(per_hour=1000),
            Scraper(lambda: edge_pages, scrape.EDGE),
            Scraper(lambda: pushpin_pages, scrape.PUSHPIN),
            self.clock,
        )

    def apply(self, *folds):
        self.state.apply(self.partition, 0, 0, folds)

    def release(self, *names):
        self.state.release(self.partition, [VALUES.rules(name) for name in names])


@pytest.fixture
def bench(client):
    return Bench(client)


def report(slot="publisher-1", **changes):
    figures = {
        "slot": slot,
        "updates": 0.0,
        "releases": 0.0,
        "values": {},
        "nodes": [],
        "partitions": [],
        "settings_read": True,
    }
    return Report(**{**figures, **changes})


def node(url, kind="edge", took_ms=(), failed=0, owed_since_ms=None):
    return NodeReport(kind, url, list(took_ms), 1.0, failed, owed_since_ms)


def test_a_value_shows_what_is_worked_on_what_is_shown_and_for_how_long_screens_lack_it(
    client, bench
):
    bench.apply(adds("counter", 0, 41))
    bench.release("counter")
    bench.apply(adds("counter", 1, 1))
    reports = [
        report(values={"counter": (2.0, 0.5)}, updates=2.0, releases=0.5),
        report("publisher-2", values={"counter": (1.0, 0.0)}, updates=1.0),
    ]
    until(lambda: bench.gatherer.gather(reports).totals.behind_s, "a millisecond to pass")
    made = bench.gatherer.gather(reports)
    (value,) = made.values
    assert (value.name, value.released, value.working) == ("counter", "41", "42")
    assert (value.updates_per_s, value.releases_per_s) == (3.0, 0.5)
    assert 0 < value.behind_s < 30
    assert made.totals.behind_s == value.behind_s
    assert (made.totals.updates_per_s, made.totals.releases_per_s) == (3.0, 0.5)
    assert (made.totals.values, made.publishers) == (1, ["publisher-1", "publisher-2"])
    assert made.budget.left_hour == 100
    bench.state.release(bench.partition, [VALUES.rules("counter")], now_us=2**51)
    assert bench.gatherer.gather([report()]).values[0].behind_s == 0


def test_values_are_the_configured_the_busy_and_the_last_released_and_long_ones_are_cut(
    client, bench
):
    bench.apply(sets("note.long", 0, "x" * 5000), sets("note.busy", 1, 1))
    bench.release("note.long")
    made = bench.gatherer.gather([report(values={"note.busy": (9.0, 0.0)})])
    assert [value.name for value in made.values] == ["counter", "note.busy", "note.long"]
    long = made.values[-1].released
    assert (len(long), long[:3], long[-1]) == (overview.MOST_TEXT, '"xx', "\u2026")
    assert len(overview.encode(made)) < 4000


def test_there_are_never_more_values_than_a_page_can_show(client, bench):
    busy = {f"note.{n}": (float(n), 0.0) for n in range(3 * overview.MOST_VALUES)}
    made = bench.gatherer.gather([report(values=busy)])
    assert len(made.values) == overview.MOST_VALUES
    assert made.values[0].name == "counter"
    assert made.values[1].name == f"note.{3 * overview.MOST_VALUES - 1}"


def test_who_paused_a_value_is_named(client):
    bench = Bench(client, settings=[Setting("pause:counter", 0, "alice", 0, {})])
    made = bench.gatherer.gather([report()])
    assert made.values[0].paused_by == "alice"
    assert [alert.text for alert in made.alerts] == ["paused: counter"]


def test_a_node_is_what_all_publishers_know_of_it(bench):
    made = bench.gatherer.gather(
        [
            report(nodes=[node(EDGES[0], took_ms=[1, 2]), node(EDGES[1], owed_since_ms=5000)]),
            report(
                "publisher-2",
                nodes=[node(EDGES[0], took_ms=[9], failed=2), node(EDGES[1], owed_since_ms=4000)],
            ),
        ]
    )
    first, second = made.edges
    assert (first.name, first.p50_ms, first.p99_ms, first.failed_last_minute) == ("Edge 1", 2, 9, 2)
    assert (second.name, second.owed_since_ms, second.p50_ms) == ("Edge 2", 4000, None)
    assert made.totals.purge_p99_ms == 9
    assert second.hit_ratio is None, "nobody said where its page is"


def test_what_nodes_say_of_themselves_is_shown_as_rates_and_a_dead_one_has_none(client):
    first = {scrape.HITS: 100, scrape.MISSES: 10, scrape.REQUESTS: 110, scrape.ORIGIN_REQUESTS: 10}
    pushpin = {scrape.VIEWERS: 7, scrape.DELIVERIES: 1000}
    nodes = [*map(node, EDGES), node("http://pushpin:5561", "pushpin")]
    with pages(first, pushpin) as (edge_page, pushpin_page):
        bench = Bench(client, [edge_page, "http://127.0.0.1:1"], [pushpin_page])
        assert bench.gatherer.gather([report(nodes=nodes)]).edges[0].hit_ratio is None
        first.update({scrape.HITS: 400, scrape.MISSES: 110, scrape.REQUESTS: 520})
        pushpin.update({scrape.VIEWERS: 9, scrape.DELIVERIES: 1100})
        bench.clock.now += 4
        made = bench.gatherer.gather([report(nodes=nodes)])
    assert made.edges[0].hit_ratio == made.totals.hit_ratio == 0.75
    assert (made.edges[0].requests_per_s, made.edges[0].origin_requests_per_s) == (102.5, 0)
    assert (made.edges[0].misses_per_s, made.totals.misses_per_s) == (25.0, 25.0)
    assert (made.edges[1].hit_ratio, made.edges[1].requests_per_s) == (None, None)
    assert (made.pushpins[0].viewers, made.totals.deliveries_per_s) == (9, 25.0)


def test_partitions_that_nobody_reads_are_told_of(bench):
    made = bench.gatherer.gather(
        [report(partitions=[PartitionReport("updates", 1, 3, 7, True, False)])]
    )
    found = [(part.number, part.lag, part.reader) for part in made.partitions]
    assert found == [(0, None, None), (1, 7, "publisher-1"), (2, None, None)]
    assert made.totals.lag == 7
    said = [alert.text for alert in made.alerts]
    assert said == ["nobody reads updates[0]", "nobody reads updates[2]"]


# -- the collector


class Reports:
    """A publisher that has nothing to say but its slot."""

    def __init__(self, bench, slot, leads):
        self.sent = []
        self.renewals = 0
        self.leads = leads
        self.activity = Activity()
        self.edges = []
        standing = [Standing(bench.partition, 1, 90, True, False)]
        reporter = Reporter(
            slot,
            self.activity,
            self.edges,
            [],
            lambda: standing,
            lambda _: 100,
            lambda: True,
            bench.clock,
        )
        self.collector = Collector(
            slot,
            bench.figures,
            reporter,
            bench.gatherer,
            lambda: self.leads,
            self.sent.append,
            self._renew,
            threading.Event(),
            bench.clock,
        )

    def _renew(self):
        self.renewals += 1


def test_one_that_does_not_lead_reports_and_the_one_that_leads_tells_all(bench):
    leader, other = Reports(bench, "publisher-1", True), Reports(bench, "publisher-2", False)
    other.collector.turn()
    assert bench.figures.now() is None
    bench.clock.now += 1
    other.activity.updates([("counter", 5)], 5)
    other.collector.turn()
    leader.collector.turn()
    made = overview.decode(bench.figures.now())
    assert made.publishers == ["publisher-1", "publisher-2"]
    assert (made.values[0].updates_per_s, made.totals.lag) == (5.0, 10)


def test_what_nobody_watches_is_not_published_and_watchers_are_asked_again_every_half_minute(bench):
    leader = Reports(bench, "publisher-1", True)
    leader.collector.turn()
    assert (leader.sent, leader.renewals) == ([], 0)
    bench.figures.watched()
    for _ in range(61):
        leader.collector.turn()
        bench.clock.now += 1
    assert (len(leader.sent), leader.renewals) == (61, 2)
    assert leader.sent[-1] == bench.figures.now()


def test_nobody_is_asked_again_while_no_edge_node_can_be_reached(bench):
    leader = Reports(bench, "publisher-1", True)
    away = [EdgeNode(url, "holdfast", "key", bench.clock) for url in EDGES]
    leader.edges.extend(away)
    bench.figures.watched()
    for edge in away:
        edge.tally.owes(True)
    for _ in range(40):
        leader.collector.turn()
        bench.clock.now += 1
    assert (len(leader.sent), leader.renewals) == (40, 0)
    away[1].tally.owes(False)
    leader.collector.turn()
    assert leader.renewals == 1


def test_a_report_of_another_release_is_left_out(client, bench):
    leader = Reports(bench, "publisher-1", True)
    bench.figures.report("publisher-9", b'{"slot": 9}')
    leader.collector.turn()
    assert overview.decode(bench.figures.now()).publishers == ["publisher-1"]
