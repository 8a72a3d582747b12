"""The values of values.toml: which exist, how updates fold into them, how often they release."""

from __future__ import annotations

import dataclasses
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from holdfast.errors import ConfigError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
FAMILY = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,61})\*")
TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
HOME_TOPIC = "updates"

Reduce = Literal["sum", "latest"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What values.toml says of one value, or of a family (a name that ends in `*`).

    rate: releases/s; burst: releases; threshold: in units of the value; settle: s. table: the name
    of its table; own: what that table sets itself, the rest being defaults. paused: an operator
    stopped its releases (tuning.py). private: only who has a token that allows it may read it.
    """

    name: str
    reduce: Reduce
    rate: float = 1.0
    burst: int = 1
    topic: str = HOME_TOPIC
    key: str | None = None
    field: str | None = None
    threshold: float = 0.0
    settle: float = 0.0
    default: bool = False
    table: str = dataclasses.field(default="", compare=False)
    own: frozenset[str] = dataclasses.field(default=frozenset(), compare=False)
    paused: bool = False
    private: bool = False

    @property
    def family(self) -> bool:
        return self.name.endswith("*")

    @property
    def prefix(self) -> str:
        return self.name.removesuffix("*")


class Values:
    """Looks up a value's rules by its name, and by the Kafka record that updates it.

    defaults: what holds where no table says otherwise; only its rate, burst, threshold and settle.
    """

    def __init__(self, rules: Iterable[Rules], defaults: Rules | None = None) -> None:
        self.defaults = defaults or Rules("", "sum")
        self._exact = {rule.name: rule for rule in rules if not rule.family}
        # Longest prefix first, so that price.eu.* wins over price.*.
        self._families = sorted(
            (rule for rule in rules if rule.family), key=lambda rule: -len(rule.prefix)
        )
        self._keyed = {
            (rule.topic, rule.key): rule for rule in self._exact.values() if rule.key is not None
        }

    def rules(self, name: str) -> Rules | None:
        """The rules of `name`, None when nothing in values.toml covers it."""
        exact = self._exact.get(name)
        if exact is not None:
            return exact
        if not NAME.fullmatch(name):
            return None
        for rule in self._families:
            if name.startswith(rule.prefix) and len(name) > len(rule.prefix):
                return replace(rule, name=name)
        return None

    def private(self, name: str) -> bool:
        rules = self.rules(name)
        return rules is not None and rules.private

    def configured(self, name: str) -> bool:
        """Whether `name` stands in values.toml itself: it exists before its first update."""
        return name in self._exact

    def target(self, topic: str, key: str) -> Rules | None:
        """The value that a record with this key on this topic updates, None for nobody's."""
        keyed = self._keyed.get((topic, key))
        if keyed is not None:
            return keyed
        exact = self._exact.get(key)
        if exact is not None and exact.topic == topic and exact.key is None:
            return exact
        for rule in self._families:
            if rule.topic != topic:
                continue
            # On the home topic a key is the whole name; a foreign topic knows only its own part.
            name = key if topic == HOME_TOPIC else rule.prefix + key
            if not name.startswith(rule.prefix):
                continue
            # An exact name or a longer prefix may have put this value on another topic.
            covering = None if name in self._exact else self.rules(name)
            return covering if covering is not None and covering.topic == topic else None
        return None

    @property
    def tables(self) -> tuple[Rules, ...]:
        """What each table says, those of exact names first."""
        return (*self._exact.values(), *self._families)

    @property
    def default(self) -> Rules:
        return next(rule for rule in self._exact.values() if rule.default)

    @property
    def topics(self) -> tuple[str, ...]:
        """Every topic that some value reads, the home topic first."""
        return (HOME_TOPIC, *sorted({rule.topic for rule in self.tables} - {HOME_TOPIC}))


def load(path: Path) -> Values:
    """Read values.toml. ConfigError says which table and key is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}; set HOLDFAST_VALUES to your values.toml") from None
    return parse(text, str(path))


def parse(text: str, source: str = "values.toml") -> Values:
    """Values from the text of a values.toml; `source` names it in errors."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: {error}") from None
    unknown = set(document) - {"defaults", "values", "events"}  # the last: topics.py
    if unknown:
        raise ConfigError(f"{source}: unknown table [{sorted(unknown)[0]}]")
    defaults = _table(document.get("defaults", {}), f"{source}: [defaults]")
    tables = _table(document.get("values", {}), f"{source}: [values]")
    rules = [_rules(name, table, defaults, source) for name, table in tables.items()]
    chosen = [rule.name for rule in rules if rule.default]
    if len(chosen) != 1:
        raise ConfigError(
            f"{source}: exactly one value must say `default = true` (what /stream serves); "
            f"found {len(chosen)}"
        )
    _check_sources(rules, source)
    return Values(rules, Rules("", "sum", **defaults))


_TYPES: Mapping[str, tuple[type, ...]] = {
    "reduce": (str,),
    "topic": (str,),
    "key": (str,),
    "field": (str,),
    "rate": (int, float),
    "burst": (int,),
    "threshold": (int, float),
    "settle": (int, float),
    "default": (bool,),
    "private": (bool,),
}
# What may also stand in [defaults], and what an operator may change while running (tuning.py).
KNOBS = ("rate", "burst", "threshold", "settle")


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: a table is expected")
    return value


def _rules(name: str, table: Any, defaults: dict[str, Any], source: str) -> Rules:
    where = f"{source}: [values.{name}]"
    if not NAME.fullmatch(name) and not FAMILY.fullmatch(name):
        raise ConfigError(f'{where}: a name matches {NAME.pattern}, a family ends in one "*"')
    beyond = set(defaults) - set(KNOBS)
    if beyond:
        raise ConfigError(f"{source}: [defaults]: {sorted(beyond)[0]} can't have a default")
    own = _table(table, where)
    merged = {**defaults, **own}
    for key, value in merged.items():
        if key not in _TYPES:
            raise ConfigError(f"{where}: unknown key {key}")
        boolean = isinstance(value, bool)
        if not isinstance(value, _TYPES[key]) or (boolean and bool not in _TYPES[key]):
            kinds = " or ".join(kind.__name__ for kind in _TYPES[key])
            raise ConfigError(f"{where}: {key} must be {kinds}")
    if merged.get("reduce") not in ("sum", "latest"):
        raise ConfigError(f'{where}: reduce must be "sum" or "latest"')
    fault = fault_of(merged)
    if fault is not None:
        raise ConfigError(f"{where}: {fault}")
    if not TOPIC.fullmatch(merged.get("topic", HOME_TOPIC)):
        raise ConfigError(f"{where}: topic is not a Kafka topic name")
    rule = Rules(name=name, table=name, own=frozenset(own), **merged)
    if rule.family and (rule.default or rule.key is not None):
        raise ConfigError(f"{where}: a family has neither default nor key")
    if rule.default and rule.private:
        raise ConfigError(f"{where}: everybody sees the default value; it can't be private")
    if rule.topic == HOME_TOPIC and (rule.field is not None or rule.key is not None):
        raise ConfigError(f"{where}: key and field are for a foreign topic; set topic too")
    return rule


def _check_sources(rules: Iterable[Rules], source: str) -> None:
    """A record of a foreign topic updates one value: nobody else may claim it."""
    owners: dict[tuple[str, str | None], str] = {}
    for rule in rules:
        if rule.topic == HOME_TOPIC:
            continue
        key = None if rule.family else rule.key or rule.name
        owner = owners.setdefault((rule.topic, key), rule.name)
        if owner != rule.name:
            what = f"topic {rule.topic}" if key is None else f"key {key} of topic {rule.topic}"
            raise ConfigError(f"{source}: [values.{rule.name}]: {what} already updates {owner}")


def fault_of(knobs: Mapping[str, Any]) -> str | None:
    """What is wrong with these rates, bursts, thresholds and settles together; None = nothing."""
    for key, least in (("rate", 0.0), ("threshold", 0.0), ("settle", 0.0), ("burst", 1)):
        value = knobs.get(key, 1)
        if value < least or value > 1e6 or math.isnan(value):
            return f"{key} must lie between {least:g} and 1000000"
    if knobs.get("rate", 1.0) == 0:
        return "rate must be above 0; pause a value to stop it"
    if knobs.get("threshold") and not knobs.get("settle"):
        return "threshold needs settle, or the last change would never show"
    return None
