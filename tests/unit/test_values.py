"""values.toml: which value a name or a record means, and what a fault says."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import ConfigError
from holdfast.values import Rules, load, parse

REPO = Path(__file__).parents[2]

TOML = """
[defaults]
rate = 2.0
burst = 3

[values.counter]
reduce = "sum"
default = true

[values.headline]
reduce = "latest"
rate = 5

[values."price.*"]
topic = "ticks"
reduce = "latest"
field = "price"
threshold = 0.5
settle = 10

[values."price.eu.*"]
topic = "eu"
reduce = "latest"
field = "bid"

[values."price.GOLD"]
topic = "metals"
reduce = "latest"

[values.oil]
topic = "ticks"
key = "CL=F"
reduce = "latest"

[values."sum.*"]
reduce = "sum"

[values."sum.foreign.*"]
topic = "foreign"
reduce = "sum"
"""


@pytest.fixture
def values():
    return parse(TOML)


def test_a_value_takes_its_own_keys_and_the_defaults_for_the_others(values):
    assert values.rules("counter") == Rules("counter", "sum", rate=2.0, burst=3, default=True)
    assert values.rules("headline") == Rules("headline", "latest", rate=5, burst=3)


def test_without_defaults_a_value_releases_once_a_second():
    rules = parse('[values.a]\nreduce = "sum"\ndefault = true').rules("a")
    assert (rules.rate, rules.burst, rules.threshold, rules.settle) == (1.0, 1, 0.0, 0.0)


def test_a_family_covers_every_name_with_its_prefix(values):
    rules = values.rules("price.BTC")
    assert (rules.name, rules.topic, rules.field) == ("price.BTC", "ticks", "price")
    assert not rules.family


def test_the_longest_prefix_and_an_exact_name_win(values):
    assert values.rules("price.eu.BTC").field == "bid"
    assert values.rules("price.GOLD").topic == "metals"


@pytest.mark.parametrize(
    "name",
    [
        "nobody",
        "price.",
        "price.*",
        "sum.*",
        "Counter",
        "",
        ".",
        "..",
        "-a",
        "price.a b",
        "price.a\n",
        "price.é",
        "price." + "x" * 59,
    ],
)
def test_a_name_that_nothing_covers_has_no_rules(values, name):
    assert values.rules(name) is None


def test_a_name_may_have_64_characters(values):
    assert values.rules("price." + "x" * 58) is not None


def test_only_exact_names_are_configured(values):
    assert values.configured("price.GOLD")
    assert not values.configured("price.BTC")
    assert not values.configured("price.*")


@pytest.mark.parametrize(
    ("topic", "key", "name"),
    [
        ("updates", "counter", "counter"),
        ("updates", "sum.a", "sum.a"),
        ("updates", "a", None),  # a key on the home topic is the whole name
        ("updates", "sum.", None),
        ("updates", "oil", None),  # read from another topic
        ("updates", "sum.foreign.a", None),
        ("foreign", "a", "sum.foreign.a"),
        ("updates", "price.BTC", None),
        ("ticks", "BTC", "price.BTC"),
        ("ticks", "eu.BTC", None),  # price.eu.* is read from another topic
        ("eu", "BTC", "price.eu.BTC"),
        ("ticks", "GOLD", None),  # price.GOLD is read from another topic
        ("ticks", "CL=F", "oil"),
        ("ticks", "oil", "price.oil"),
        ("ticks", "", None),
        ("ticks", "a b", None),
        ("metals", "price.GOLD", "price.GOLD"),
        ("metals", "GOLD", None),
        ("nowhere", "counter", None),
    ],
)
def test_a_record_updates_the_value_that_its_topic_and_key_mean(values, topic, key, name):
    target = values.target(topic, key)
    assert (target and target.name) == name


def test_topics_are_listed_once_the_home_topic_first(values):
    assert values.topics == ("updates", "eu", "foreign", "metals", "ticks")
    assert parse('[values.a]\nreduce="sum"\ndefault=true\ntopic="x"').topics == ("updates", "x")


def test_the_default_value_is_the_one_that_says_so(values):
    assert values.default.name == "counter"


DEFAULT = '[values.d]\nreduce = "sum"\ndefault = true\n'

FAULTS = {
    "broken TOML": ("[values", "values.toml: "),
    "an unknown table": (DEFAULT + "[valeus]", "unknown table [valeus]"),
    "values is no table": ("values = 1", "[values]: a table is expected"),
    "defaults is no table": (DEFAULT + "[[defaults]]", "[defaults]: a table is expected"),
    "a value is no table": (DEFAULT + "[values]\na = 1", ""),
    "an unknown key": (DEFAULT + 'rat = 1\n[values.a]\nreduce = "sum"', "unknown key rat"),
    "an unknown default": (DEFAULT + "[defaults]\ntopic = 'x'", "topic can't have a default"),
    "no reducer": ("[values.a]\ndefault = true", "reduce must be"),
    "an unknown reducer": ('[values.a]\nreduce = "max"', 'reduce must be "sum" or "latest"'),
    "a reducer of another type": ("[values.a]\nreduce = 1", "reduce must be str"),
    "a rate as text": ('[values.a]\nreduce = "sum"\nrate = "1"', "rate must be int or float"),
    "a rate as a boolean": ('[values.a]\nreduce = "sum"\nrate = true', "rate must be int or float"),
    "a burst as a float": ('[values.a]\nreduce = "sum"\nburst = 1.5', "burst must be int"),
    "a default as a number": ('[values.a]\nreduce = "sum"\ndefault = 1', "default must be bool"),
    "a rate of 0": ('[values.a]\nreduce = "sum"\nrate = 0', "rate must be above 0"),
    "a negative rate": ('[values.a]\nreduce = "sum"\nrate = -1', "rate must lie between"),
    "an infinite rate": ('[values.a]\nreduce = "sum"\nrate = inf', "rate must lie between"),
    "a rate that is no number": ('[values.a]\nreduce = "sum"\nrate = nan', "rate must lie"),
    "a huge rate": ('[values.a]\nreduce = "sum"\nrate = 1e7', "rate must lie between"),
    "a burst of 0": ('[values.a]\nreduce = "sum"\nburst = 0', "burst must lie between 1"),
    "a negative threshold": ('[values.a]\nreduce = "sum"\nthreshold = -1', "threshold must lie"),
    "a threshold without settle": (
        '[values.a]\nreduce = "sum"\nthreshold = 1',
        "threshold needs settle",
    ),
    "a bad name": ('[values."a b"]\nreduce = "sum"', "a name matches"),
    "a name with a line end": ('[values."a\\n"]\nreduce = "sum"', "a name matches"),
    "a long name": (f'[values.{"a" * 65}]\nreduce = "sum"', "a name matches"),
    "a star in the middle": ('[values."a*b"]\nreduce = "sum"', "a name matches"),
    "a star alone": ('[values."*"]\nreduce = "sum"', "a name matches"),
    "a bad topic": ('[values.a]\nreduce = "sum"\ntopic = "a b"', "topic is not a Kafka topic name"),
    "an empty topic": ('[values.a]\nreduce = "sum"\ntopic = ""', "topic is not a Kafka topic name"),
    "a default family": ('[values."a.*"]\nreduce = "sum"\ndefault = true', "a family has neither"),
    "a family with a key": (
        '[values."a.*"]\nreduce = "sum"\ntopic = "t"\nkey = "k"',
        "a family has neither",
    ),
    "a key on the home topic": ('[values.a]\nreduce = "sum"\nkey = "k"', "set topic too"),
    "a field on the home topic": ('[values.a]\nreduce = "latest"\nfield = "f"', "set topic too"),
    "no default value": ('[values.a]\nreduce = "sum"', "exactly one value must say"),
    "two default values": (
        DEFAULT + '[values.a]\nreduce = "sum"\ndefault = true',
        "exactly one value must say",
    ),
    "nothing at all": ("", "exactly one value must say"),
    "two values for one record": (
        DEFAULT
        + '[values.a]\nreduce = "sum"\ntopic = "t"\nkey = "k"\n'
        + '[values.b]\nreduce = "sum"\ntopic = "t"\nkey = "k"\n',
        "[values.b]: key k of topic t already updates a",
    ),
    "a value's name that is another's key": (
        DEFAULT
        + '[values.k]\nreduce = "sum"\ntopic = "t"\n'
        + '[values.b]\nreduce = "sum"\ntopic = "t"\nkey = "k"\n',
        "[values.b]: key k of topic t already updates k",
    ),
    "two families for one record": (
        DEFAULT
        + '[values."a.*"]\nreduce = "sum"\ntopic = "t"\n'
        + '[values."b.*"]\nreduce = "sum"\ntopic = "t"\n',
        "[values.b.*]: topic t already updates a.*",
    ),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_in_values_toml_is_named(text, message):
    with pytest.raises(ConfigError) as fault:
        parse(text)
    assert message in str(fault.value)
    assert str(fault.value).startswith("values.toml: ")


def test_a_fault_names_the_file_that_was_loaded(tmp_path):
    path = tmp_path / "mine.toml"
    for content in (None, b"\xff", b"[values.a]\nreduce = 'max'"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"mine\.toml"):
            load(path)


@pytest.mark.parametrize("path", ["values.toml", "tests/values.toml"])
def test_the_files_that_we_ship_are_right(path):
    assert load(REPO / path).default.name == "counter"
