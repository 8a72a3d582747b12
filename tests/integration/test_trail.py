"""From a record to its announcement: ages, and lines by which an update can be followed."""

from __future__ import annotations

import logging

import pytest

from holdfast.state import Partition
from publisher import metrics
from publisher.trail import SUMMARY_S, Arrivals, Trace
from tests.integration.fake_kafka import FakeLog
from tests.integration.publisher_bench import Clock, PublisherBench
from tests.integration.test_origin import Site

PARTITION = Partition("updates", 0)
PLACE = ("updates", 0)


@pytest.fixture
def log():
    return FakeLog({PLACE: []})


@pytest.fixture
def bench(client, log):
    return PublisherBench(client, log)


def add(log, time, key=None):
    return log.append(*PLACE, b"counter", b'{"add":1}', time=time, idempotency_key=key)


def traces(bench):
    return [item.trace for item in bench.announcer.announcements if item.snapshot is not None]


@pytest.mark.parametrize("key", [None, b"once"])
def test_a_release_knows_the_oldest_and_the_newest_update_that_it_shows(client, log, bench, key):
    bench.settle(PARTITION)
    add(log, 1_000, key)
    add(log, 2_000)
    bench.settle(PARTITION)
    add(log, 9_000)
    bench.settle(PARTITION)
    assert traces(bench) == [Trace(1_000, "updates/0/1"), Trace(9_000, "updates/0/2")]


def test_what_a_rebuild_shows_again_has_no_age(client, log, bench):
    add(log, 1_000)
    bench.settle(PARTITION)
    client.flushall()
    bench.settle(PARTITION)
    add(log, 5_000)
    bench.settle(PARTITION)
    *_, rebuilt, new = traces(bench)
    assert (rebuilt, new) == (None, Trace(5_000, "updates/0/1"))


def test_a_replay_leaves_no_trace_for_the_next_release(client, log, bench):
    """What another has applied and released meanwhile is not this one's to show."""
    bench.settle(PARTITION)
    add(log, 1_000)
    other = PublisherBench(client, log)
    other.settle(PARTITION)
    bench.settle(PARTITION)
    add(log, 7_000)
    bench.settle(PARTITION)
    assert traces(bench)[-1] == Trace(7_000, "updates/0/1")


def test_at_debug_every_step_of_an_update_is_a_line(client, log, bench, caplog):
    caplog.set_level(logging.DEBUG, "publisher.trail")
    arrivals = Arrivals(wall=lambda: 4.0)
    bench.settle(PARTITION)
    add(log, 1_500)
    bench.settle(PARTITION)
    (item,) = [item for item in bench.announcer.announcements if item.snapshot is not None]
    arrivals.note(item.name, item.version, item.trace)
    applied, announced = (record.fields for record in caplog.records)
    assert applied == {"value": "counter", "first": 0, "update": "updates/0/0"}
    assert announced == {
        "value": "counter",
        "version": item.version,
        "update": "updates/0/0",
        "age_s": 2.5,
    }


def test_at_info_one_line_in_a_while_says_that_releases_are_made(caplog):
    caplog.set_level(logging.INFO, "publisher.trail")
    clock = Clock()
    arrivals = Arrivals(clock=clock)
    for version in range(1, 6):
        arrivals.note("counter", version, None)
    clock.now += SUMMARY_S
    arrivals.note("counter", 6, None)
    assert [record.getMessage() for record in caplog.records] == [
        "announced counter 1; 1 since the last such line",
        "announced counter 6; 5 since the last such line",
    ]


def test_ages_are_counted_and_only_names_that_were_asked_for_are_labels():
    before = sample(metrics.AGE, "_count")
    arrivals = Arrivals(["shown"], wall=lambda: 10.0)
    arrivals.note("shown", 1, Trace(9_000, "updates/0/0"))
    arrivals.note("shown", 2, None)
    arrivals.note("hidden", 1, Trace(11_000, "updates/0/1"))
    assert sample(metrics.AGE, "_count") == before + 2
    assert sample(metrics.VALUE_RELEASES, "_total") == 2
    assert sample(metrics.VALUE_AGE, "_count") == 1
    names = {sample.labels["value"] for sample in metrics.VALUE_RELEASES.collect()[0].samples}
    assert names == {"shown"}
    metrics.VALUE_RELEASES.remove("shown")
    metrics.VALUE_AGE.remove("shown")


def sample(metric, ending):
    (family,) = metric.collect()
    return next(sample.value for sample in family.samples if sample.name.endswith(ending))


def test_the_origin_says_which_update_a_request_became(client, caplog):
    caplog.set_level(logging.DEBUG, "origin.value_routes")
    site = Site(client)
    sent = {"X-Request-Id": "from-the-shop:17"}
    answer = site.http.post("/values/counter", json={"add": 1}, headers=sent)
    assert answer.headers["X-Request-Id"] == "from-the-shop:17"
    (record,) = [record for record in caplog.records if record.name == "origin.value_routes"]
    assert record.fields == {
        "value": "counter",
        "update": "updates/2/0",
        "request_id": "from-the-shop:17",
    }


def test_every_change_has_a_request_id_and_no_cached_answer(client):
    site = Site(client)
    site.vouch()
    ids = set()
    for sent in ({}, {"X-Request-Id": "two words"}, {"X-Request-Id": "x" * 129}):
        for body in ({"add": 1}, {"add": "no"}):
            answer = site.http.post("/values/counter", json=body, headers=sent)
            ids.add(answer.headers["X-Request-Id"])
    assert len(ids) == 6
    assert not ids & {"two words", "x" * 129}
    assert "X-Request-Id" not in site.get("/values/counter", X_Request_Id="mine").headers
