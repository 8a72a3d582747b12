"""Figures: rates, percentiles, counts, and what is said of them in words."""

from __future__ import annotations

import pytest

from holdfast.overview import LATENCY_S
from publisher.activity import MOST_NAMES, Activity, Counts
from publisher.alerts import alerts, duration
from publisher.scrape import EDGE, HITS, ORIGIN_REQUESTS, read
from publisher.tally import MOST_SAMPLES, Tally, percentile
from publisher.window import Window
from tests.figures import NOW_MS, budget, edge, partition, pushpin, value


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


# -- rates


def test_a_rate_is_the_mean_of_the_window_and_forgets_what_was_before():
    window = Window(10)
    for second in range(30):
        window.look(second, {"slow": second, "burst": min(second, 15) * 100})
    assert window.rate("slow") == 1.0
    assert window.rate("burst") == 0.0
    assert window.rate("unknown") is None


def test_one_look_makes_no_rate():
    window = Window(10)
    window.look(0, {"a": 5})
    assert window.rate("a") is None


def test_a_counter_that_began_anew_has_not_shrunk():
    window = Window(10)
    for second, count in enumerate((100, 110, 3, 13)):
        window.look(second, {"a": count})
    assert window.rate("a") == pytest.approx((10 + 3 + 10) / 3)


def test_who_was_missing_is_measured_from_when_he_was_seen_unless_he_stood_at_zero():
    window = Window(10)
    for second, counters in enumerate(({}, {}, {"a": 50}, {"a": 60})):
        window.look(second, counters)
    assert window.rate("a") == 10.0
    assert window.rate("a", from_zero=True) == 20.0
    window.look(4, {})
    assert window.rate("a") is None, "who does not answer now has no rate now"


def test_activity_counts_by_name_and_in_all_and_remembers_the_newest_names():
    activity = Activity()
    activity.updates([("a", 3), ("b", 1)], 4)
    activity.release("a")
    total, by_name = activity.read()
    assert total == Counts(4, 1)
    assert by_name == {"b": Counts(1, 0), "a": Counts(3, 1)}
    assert list(by_name) == ["b", "a"]
    activity.updates(((f"n{n}", 1) for n in range(2 * MOST_NAMES)), 2 * MOST_NAMES)
    total, by_name = activity.read()
    assert (total.updates, len(by_name)) == (4 + 2 * MOST_NAMES, MOST_NAMES)


# -- nodes


@pytest.mark.parametrize(
    ("samples", "share", "expected"),
    [
        ([], 0.5, None),
        ([7], 0.99, 7),
        ([3, 1, 2], 0.5, 2),
        (range(1, 101), 0.99, 99),
        ([1, 2], 0.5, 1),
    ],
)
def test_percentiles(samples, share, expected):
    assert percentile(list(samples), share) == expected


def test_a_tally_knows_the_last_minute_and_since_when_something_is_owed():
    clock = Clock()
    tally = Tally(clock)
    tally.took(0.002)
    tally.failed()
    tally.owes(True)
    clock.now += 40
    tally.owes(True)
    assert (tally.owed_s, tally.failures, tally.samples_ms) == (40, 1, [2.0])
    clock.now += LATENCY_S
    assert (tally.owed_s, tally.failures, tally.samples_ms) == (100, 0, [])
    tally.owes(False)
    assert tally.owed_s is None
    for _ in range(2 * MOST_SAMPLES):
        tally.took(0.001)
    assert (tally.sent, len(tally.samples_ms)) == (2 * MOST_SAMPLES + 1, MOST_SAMPLES)


def test_a_page_of_metrics_is_summed_over_labels_and_the_rest_is_left():
    page = "\n".join(
        (
            "# HELP varnish_main_cache_hit Cache hits",
            "# TYPE varnish_main_cache_hit counter",
            "varnish_main_cache_hit 7",
            "varnish_main_cache_hit_grace 99",
            'varnish_main_backend_req{backend="a"} 2',
            'varnish_main_backend_req{backend="b"} 3',
        )
    )
    assert read(page, EDGE) == {HITS: 7.0, ORIGIN_REQUESTS: 5.0}
    with pytest.raises(ValueError, match="could not convert"):
        read("varnish_main_cache_hit much", EDGE)


# -- alerts


def words(**changes):
    things = {
        "now_ms": NOW_MS,
        "values": [value()],
        "edges": [edge()],
        "pushpins": [pushpin()],
        "partitions": [partition()],
        "budget": budget(),
        "refused": [],
        "deaf": [],
    }
    return [(alert.level, alert.text) for alert in alerts(**{**things, **changes})]


def test_where_all_is_well_nothing_is_said():
    assert words() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"edges": [edge(), edge("Edge 2", owed_since_ms=NOW_MS - 40_000)]},
            ("bad", "Edge 2 has been owed a purge for 40 s"),
        ),
        (
            {"pushpins": [pushpin(owed_since_ms=NOW_MS - 600_000, failed_last_minute=9)]},
            ("bad", "Pushpin 1 has been owed what it missed for 10 min"),
        ),
        (
            {"edges": [edge(failed_last_minute=3)]},
            ("warn", "Edge 1 failed 3 times in the last minute, and is back"),
        ),
        (
            {"partitions": [partition(), partition(1, reader=None, lag=None)]},
            ("bad", "nobody reads updates[1]"),
        ),
        (
            {"partitions": [partition(lag=123_456)]},
            ("warn", "updates[0] lies 123,456 records behind"),
        ),
        (
            {"partitions": [partition(caught_up=False, lag=5)]},
            ("warn", "updates[0] is being replayed: its values are not released meanwhile"),
        ),
        (
            {"partitions": [partition(caught_up=False)], "refused": ["updates[0]"]},
            ("bad", "updates[0] waits for an operator: its log does not fit the state"),
        ),
        (
            {"deaf": ["publisher-2"]},
            ("bad", "publisher-2 can't read what operators set, and releases nothing"),
        ),
        ({"budget": budget(waiting=3)}, ("warn", "3 values wait for the purge budget")),
        ({"values": [value(paused_by="alice", behind_s=900)]}, ("warn", "paused: counter")),
        (
            {"values": [value(f"v{n}", behind_s=130, settle=100) for n in range(7)]},
            ("bad", "not released for up to 2 min: v0, v1, v2, v3, v4 and 2 more"),
        ),
    ],
)
def test_an_alert_says_what_is_wrong_and_since_when(changes, said):
    assert words(**changes) == [said]


@pytest.mark.parametrize(
    "changes",
    [
        {"behind_s": 10.9},  # a slot away from being late
        {"behind_s": 100, "rate": 0.01},
        {"behind_s": 100, "settle": 95},
        {"behind_s": 900, "waits_for_budget": True},
    ],
)
def test_what_a_rate_a_settle_or_the_budget_explains_is_not_late(changes):
    assert words(values=[value(**changes)]) == []


def test_the_worst_comes_first():
    found = words(budget=budget(waiting=1), edges=[edge(owed_since_ms=NOW_MS)])
    assert [level for level, _ in found] == ["bad", "warn"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (119, "119 s"), (180, "3 min"), (7200, "2 h")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
