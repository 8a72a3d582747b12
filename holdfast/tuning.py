"""What operators have set, and what follows from it for a value: its rules in effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal

from holdfast.budget import Budget
from holdfast.errors import SettingError
from holdfast.operator_settings import Setting, Thing
from holdfast.values import KNOBS, Rules, Values, fault_of

# Where a rule in effect comes from: what an operator set for the value, its family or by default;
# the table in values.toml; its [defaults], or what holds without any.
Source = Literal["value", "family", "table", "default", "defaults"]

BUDGET, DEFAULT = "budget", "default"
WINDOWS = ("per_second", "per_hour")
MOST_KEYS = 1e9


class Tuning:
    """All that operators have set; never changes. What doesn't make sense counts as not set."""

    def __init__(self, settings: Iterable[Setting] = ()) -> None:
        self._settings = {setting.key: setting for setting in settings}

    def __iter__(self) -> Iterator[Setting]:
        return iter(self._settings.values())

    def get(self, key: str) -> Setting | None:
        return self._settings.get(key)

    @property
    def paused(self) -> int:
        """How many values are paused."""
        return sum(key.startswith("pause:") for key in self._settings)

    def having(self, key: str, setting: Setting | None) -> Tuning:
        """The same with one key set anew, or not set any more."""
        others = [each for each in self if each.key != key]
        return Tuning(others if setting is None else [*others, setting])

    def rules(self, rules: Rules) -> Rules:
        """The rules in effect of a value, or of a table as a whole, given those of values.toml."""
        knobs = {knob: thing[knob] for knob, _, thing in self._layers(rules) if thing is not None}
        return replace(rules, paused=f"pause:{rules.name}" in self._settings, **knobs)

    def sources(self, rules: Rules) -> dict[str, Source]:
        """Where each of them comes from."""
        return {knob: source for knob, source, _ in self._layers(rules)}

    def _layers(self, rules: Rules) -> Iterator[tuple[str, Source, Thing | None]]:
        """Each knob, who decides it, and what that one says; None where values.toml decides.

        The more specific table decides, and of one table the operator before the file.
        """
        value = self._thing(f"value:{rules.name}", check_knobs)
        family = self._thing(f"family:{rules.table}", check_knobs)
        default = self._thing(DEFAULT, check_knobs)
        for knob in KNOBS:
            if knob in value:
                yield knob, "value", value
            elif knob in family:
                yield knob, "family", family
            elif knob in rules.own:
                yield knob, "table", None
            elif knob in default:
                yield knob, "default", default
            else:
                yield knob, "defaults", None

    def budget(self, otherwise: Budget) -> Budget:
        """The purge budget in effect; `otherwise`: what the environment says."""
        thing = self._thing(BUDGET, check_budget)
        return replace(otherwise, **{window: thing[window] or 0.0 for window in thing})

    def purged_at_ms(self, name: str) -> int:
        """When an operator last asked for a purge of the value, 0 = never."""
        purge = self._settings.get(f"purge:{name}")
        return 0 if purge is None else purge.at_ms

    def _thing(self, key: str, check: Any) -> Thing:
        setting = self._settings.get(key)
        if setting is None:
            return {}
        try:
            check(setting.to)
        except SettingError:
            return {}
        return setting.to

    def check(self, values: Values) -> None:
        """Raise SettingError when the rules in effect of some value would make no sense."""
        names = [each.name for each in self if each.key.startswith("value:")]
        for rules in (*values.tables, *filter(None, map(values.rules, names))):
            effect = self.rules(rules)
            fault = fault_of({knob: getattr(effect, knob) for knob in KNOBS})
            if fault is not None:
                raise SettingError(422, f"{rules.name}: {fault}")


def check_knobs(thing: Thing) -> None:
    """Raise SettingError unless `thing` holds rate, burst, threshold or settle, and no more."""
    for key, value in thing.items():
        if key not in KNOBS:
            raise SettingError(422, f"unknown member {key}; there are: {', '.join(KNOBS)}")
        kind, kinds = ("an integer", int) if key == "burst" else ("a number", int | float)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise SettingError(422, f"{key} must be {kind}")
    # Whether a threshold has its settle depends on what else is set: Tuning.check.
    fault = fault_of({**thing, "settle": thing.get("settle") or 1.0})
    if fault is not None:
        raise SettingError(422, fault)


def check_budget(thing: Thing) -> None:
    """Raise SettingError unless `thing` holds keys per second and per hour; null = no limit."""
    for key, value in thing.items():
        if key not in WINDOWS:
            raise SettingError(422, f"unknown member {key}; there are: {', '.join(WINDOWS)}")
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise SettingError(422, f"{key} must be a number, or null for no limit")
        if not 0 < value <= MOST_KEYS:
            raise SettingError(422, f"{key} must lie above 0 and at most {MOST_KEYS:g}")
