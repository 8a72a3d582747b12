"""[events] in values.toml: which topics may be shown, and what a fault says."""

from __future__ import annotations

import pytest

from holdfast.errors import ConfigError
from holdfast.topics import DEFAULT_MAX_REPLAY, TopicRules, parse

TOML = """
[values.counter]
reduce = "sum"
default = true
[events.test]
[events."orders.*"]
by_key = true
max_replay = 5
[events."orders.eu.*"]
fields = ["id", "state"]
[events."*.audit"]
"""


def test_nothing_is_shown_without_an_entry():
    topics = parse('[values.counter]\nreduce="sum"\ndefault=true\n')
    assert not topics
    assert topics.rules("test") is None


def test_an_exact_entry_shows_that_topic_alone():
    topics = parse(TOML)
    assert topics.rules("test") == TopicRules("test", max_replay=DEFAULT_MAX_REPLAY)
    assert topics.rules("test2") is None
    assert topics.exact == ("test",)


@pytest.mark.parametrize(
    ("topic", "pattern"),
    [
        ("orders.us", "orders.*"),
        ("orders.", "orders.*"),
        ("orders.eu.1", "orders.eu.*"),
        ("bank.audit", "*.audit"),
        ("orders.audit", "orders.*"),  # says more than *.audit
    ],
)
def test_the_glob_that_says_most_counts(topic, pattern):
    assert parse(TOML).rules(topic).pattern == pattern


def test_a_dot_in_a_glob_is_a_dot():
    assert parse(TOML).rules("orders-us") is None


@pytest.mark.parametrize(
    "topic",
    ["__consumer_offsets", "__x", "updates", "settings", "ticks.rejected", "", "a/b", "a b", "ü"],
)
def test_a_star_shows_no_internal_topic(topic):
    topics = parse('[events."*"]')
    assert topics.rules("anything.else-1_2") is not None
    assert topics.rules(topic) is None


def test_holdfasts_own_topics_are_shown_when_named_in_full():
    topics = parse('[events.updates]\n[events."ticks.rejected"]')
    assert topics.rules("updates") is not None
    assert topics.rules("ticks.rejected") is not None


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("events = 1", "[events]: a table is expected"),
        ('[events."__consumer_offsets"]', "internal topics are never shown"),
        ('[events."__*"]', "internal topics are never shown"),
        ('[events."a b"]', "a Kafka topic's name is expected"),
        ('[events.".."]', "a Kafka topic's name is expected"),
        ("[events]\ntest = true", "[events.test]: a table is expected"),
        ("[events.a.b]", "unknown key b; quote a name that has a dot"),
        ("[events.test]\nbykey = true", "unknown key bykey"),
        ("[events.test]\nby_key = 1", "by_key must be bool"),
        ("[events.test]\nmax_replay = true", "max_replay must be int"),
        ("[events.test]\nmax_replay = 0", "max_replay must lie between 1 and 1000000"),
        ("[events.test]\nmax_replay = 1000001", "max_replay must lie between"),
        ("[events.test]\nfields = []", "fields must be a list of one name or more"),
        ("[events.test]\nfields = [1]", "fields must be a list of one name or more"),
        ('[events.test]\nfields = "a"', "fields must be list"),
        ("[events", "values.toml: "),
    ],
)
def test_a_fault_is_named(toml, says):
    with pytest.raises(ConfigError) as error:
        parse(toml)
    assert says in str(error.value)
