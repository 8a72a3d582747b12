"""The `[events]` tables of values.toml: which Kafka topics `/events/{topic}/` may show, and how."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast import operator_settings
from holdfast.errors import ConfigError
from holdfast.values import HOME_TOPIC, TOPIC

PATTERN = re.compile(r"[A-Za-z0-9._*-]{1,249}")
# Kafka's own topics. Nothing in values.toml can open them.
INTERNAL_PREFIX = "__"
# Holdfast's own: a glob does not match them, an exact entry may name them.
_OWN = frozenset({HOME_TOPIC, operator_settings.TOPIC, operator_settings.AUDIT_TOPIC})
_OWN_SUFFIX = ".rejected"

DEFAULT_MAX_REPLAY = 10_000
MOST_REPLAY = 1_000_000
_KEYS = {"by_key": bool, "max_replay": int, "fields": list, "private": bool}


@dataclass(frozen=True, slots=True)
class TopicRules:
    """What values.toml says of a topic, or of all topics that a glob matches.

    by_key: `?key=` is served. max_replay: records that a viewer may catch up on. fields: the
    members of a JSON record that are shown, None = the record as it is. private: only for who has a
    token that allows it.
    """

    pattern: str
    by_key: bool = False
    max_replay: int = DEFAULT_MAX_REPLAY
    fields: tuple[str, ...] | None = None
    private: bool = False

    @property
    def exact(self) -> bool:
        return "*" not in self.pattern

    @property
    def look(self) -> str:
        """What decides how a record looks as an event: events of another look are not shown."""
        return json.dumps([self.by_key, self.fields])


class Topics:
    """Looks up a topic's rules: an exact entry first, then the glob that says most."""

    def __init__(self, rules: Iterable[TopicRules]) -> None:
        self._exact = {rule.pattern: rule for rule in rules if rule.exact}
        self._globs = [
            (re.compile(".*".join(re.escape(part) for part in rule.pattern.split("*"))), rule)
            for rule in sorted(
                (rule for rule in rules if not rule.exact),
                key=lambda rule: (-len(rule.pattern.replace("*", "")), rule.pattern),
            )
        ]

    def __bool__(self) -> bool:
        return bool(self._exact or self._globs)

    def rules(self, topic: str) -> TopicRules | None:
        """The rules of `topic`, None when it must not be shown."""
        if not TOPIC.fullmatch(topic) or topic.startswith(INTERNAL_PREFIX):
            return None
        exact = self._exact.get(topic)
        if exact is not None:
            return exact
        if topic in _OWN or topic.endswith(_OWN_SUFFIX):
            return None
        for pattern, rule in self._globs:
            if pattern.fullmatch(topic):
                return rule
        return None

    @property
    def private(self) -> bool:
        """Whether any of them is."""
        return any(rule.private for rule in self._exact.values()) or any(
            rule.private for _, rule in self._globs
        )

    @property
    def exact(self) -> tuple[str, ...]:
        """The topics that are named in full; the relay creates them where they are missing."""
        return tuple(sorted(self._exact))


def load(path: Path) -> Topics:
    """Read the `[events]` tables of values.toml. ConfigError says which table and key is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}; set HOLDFAST_VALUES to your values.toml") from None
    return parse(text, str(path))


def parse(text: str, source: str = "values.toml") -> Topics:
    """Topics from the text of a values.toml; `source` names it in errors."""
    try:
        events = tomllib.loads(text).get("events", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: {error}") from None
    if not isinstance(events, dict):
        raise ConfigError(f"{source}: [events]: a table is expected")
    return Topics([_rules(name, table, source) for name, table in events.items()])


def _rules(name: str, table: Any, source: str) -> TopicRules:
    where = f"{source}: [events.{name}]"
    if not PATTERN.fullmatch(name) or name in (".", ".."):
        raise ConfigError(f'{where}: a Kafka topic\'s name is expected, or one with "*" in it')
    if name.startswith(INTERNAL_PREFIX):
        raise ConfigError(f"{where}: Kafka's internal topics are never shown")
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: a table is expected; quote a name that has a dot")
    for key, value in table.items():
        kind = _KEYS.get(key)
        if kind is None:
            raise ConfigError(f"{where}: unknown key {key}; quote a name that has a dot")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ConfigError(f"{where}: {key} must be {kind.__name__}")
    if not 1 <= table.get("max_replay", 1) <= MOST_REPLAY:
        raise ConfigError(f"{where}: max_replay must lie between 1 and {MOST_REPLAY}")
    fields = table.get("fields")
    if fields is not None and not (fields and all(isinstance(each, str) for each in fields)):
        raise ConfigError(f"{where}: fields must be a list of one name or more")
    merged = {**table, "fields": None if fields is None else tuple(fields)}
    return TopicRules(pattern=name, **merged)
