"""The rules in effect: who decides what, and what an operator may not set."""

from __future__ import annotations

import pytest

from holdfast.budget import Budget
from holdfast.errors import SettingError
from holdfast.operator_settings import Setting
from holdfast.tuning import Tuning, check_budget, check_knobs
from holdfast.values import parse

VALUES = parse("""
[defaults]
rate = 2.0
[values.counter]
reduce = "sum"
default = true
[values.visits]
reduce = "sum"
burst = 7
[values."price.*"]
reduce = "latest"
threshold = 0.5
settle = 10
""")


def tuning(**things):
    """Settings by their keys, with a double underscore for the colon."""
    return Tuning(
        Setting(key.replace("__", ":").replace("_", "."), 1, "alice", 1000, to)
        for key, to in things.items()
    )


def effect(tuned, name):
    rules = VALUES.rules(name)
    in_effect, sources = tuned.rules(rules), tuned.sources(rules)
    return {
        knob: (getattr(in_effect, knob), sources[knob])
        for knob in ("rate", "burst", "threshold", "settle")
    }


def test_without_an_operator_values_toml_decides():
    assert effect(tuning(), "counter") == {
        "rate": (2.0, "defaults"),
        "burst": (1, "defaults"),
        "threshold": (0.0, "defaults"),
        "settle": (0.0, "defaults"),
    }
    assert effect(tuning(), "visits")["burst"] == (7, "table")


def test_the_more_specific_decides_and_of_one_table_the_operator():
    tuned = tuning(default={"rate": 3, "burst": 3, "threshold": 9, "settle": 9})
    assert effect(tuned, "visits") == {
        "rate": (3, "default"),
        "burst": (7, "table"),
        "threshold": (9, "default"),
        "settle": (9, "default"),
    }
    assert effect(tuned, "price.BTC")["threshold"] == (0.5, "table")
    family = Tuning(
        [
            Setting("family:price.*", 1, "alice", 1000, {"rate": 4, "threshold": 1}),
            Setting("value:price.BTC", 2, "alice", 1000, {"rate": 5}),
        ]
    )
    assert effect(family, "price.BTC")["rate"] == (5, "value")
    assert effect(family, "price.BTC")["threshold"] == (1, "family")
    assert effect(family, "price.ETH")["rate"] == (4, "family")
    assert effect(family, "counter")["rate"] == (2.0, "defaults")


def test_a_pause_is_of_one_value_and_leaves_its_rates_alone():
    tuned = tuning(pause__counter={}, value__counter={"rate": 5})
    assert tuned.rules(VALUES.rules("counter")).paused
    assert tuned.rules(VALUES.rules("counter")).rate == 5
    assert not tuned.rules(VALUES.rules("visits")).paused


@pytest.mark.parametrize("to", [{"rate": "fast"}, {"rate": -1}, {"speed": 1}])
def test_what_makes_no_sense_counts_as_not_set(to):
    assert effect(tuning(value__counter=to), "counter")["rate"] == (2.0, "defaults")


def test_the_budget_is_what_was_set_then_what_the_environment_says():
    environment = Budget(per_second=50, per_hour=100)
    assert tuning().budget(environment) == environment
    assert tuning(budget={"per_second": 20}).budget(environment) == Budget(20, 100)
    assert tuning(budget={"per_hour": None}).budget(environment) == Budget(50, 0)
    assert tuning(budget={"per_hour": "x"}).budget(environment) == environment


@pytest.mark.parametrize(
    "thing",
    [
        {"rate": 0},
        {"rate": -1},
        {"rate": 1e7},
        {"rate": 10**400},
        {"rate": True},
        {"rate": "1"},
        {"rate": None},
        {"burst": 0},
        {"burst": 1.5},
        {"settle": -1},
        {"threshold": -0.1},
        {"speed": 1},
    ],
)
def test_knobs_that_are_refused(thing):
    with pytest.raises(SettingError) as fault:
        check_knobs(thing)
    assert fault.value.status == 422
    assert next(iter(thing)) in str(fault.value)


@pytest.mark.parametrize("thing", [{}, {"rate": 1}, {"rate": 0.01, "burst": 5}, {"threshold": 1}])
def test_knobs_that_are_taken(thing):
    check_knobs(thing)


@pytest.mark.parametrize(
    "thing", [{"per_second": 0}, {"per_hour": -1}, {"per_day": 1}, {"per_second": True}]
)
def test_budgets_that_are_refused(thing):
    with pytest.raises(SettingError):
        check_budget(thing)


@pytest.mark.parametrize(
    ("settings", "good"),
    [
        ({"value__counter": {"threshold": 1}}, False),
        ({"value__counter": {"threshold": 1, "settle": 5}}, True),
        ({"value__counter": {"threshold": 1}, "default": {"settle": 5}}, True),
        ({"default": {"threshold": 1}}, False),
        ({"family__price_*": {"settle": 0}}, False),
        ({"value__price_BTC": {"settle": 0}}, False),
        ({"value__gone": {"threshold": 1}}, True),  # no value of values.toml any more
    ],
)
def test_no_value_may_be_left_with_a_threshold_and_no_settle(settings, good):
    tuned = tuning(**settings)
    if good:
        tuned.check(VALUES)
    else:
        with pytest.raises(SettingError, match="threshold needs settle"):
            tuned.check(VALUES)


def test_one_key_set_anew_leaves_the_others():
    tuned = tuning(default={"rate": 3}, pause__counter={})
    assert {each.key for each in tuned.having("pause:counter", None)} == {"default"}
    more = tuned.having("default", Setting("default", 9, "bob", 1, {"rate": 4}))
    assert effect(more, "counter")["rate"] == (4, "default")
