"""What the operators' API works with: made once in `create_app`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import redis

from holdfast.budget import Budget
from holdfast.config import Settings
from holdfast.figures import Figures
from holdfast.hook_states import HookStates
from holdfast.operator_tokens import named_tokens
from holdfast.settings_mirror import SettingsMirror
from holdfast.value_states import ValueStates
from origin.operators import Operators
from origin.sessions import Sessions
from origin.settings_log import SettingsLog

EFFECT_S = 2.0  # a publisher that is there needs some ms


@dataclass(frozen=True, slots=True)
class Desk:
    """budget: as the environment sets it. proxies: see operators.client_address."""

    operators: Operators
    log: SettingsLog
    mirror: SettingsMirror
    states: ValueStates
    sessions: Sessions
    figures: Figures
    hooks: HookStates
    budget: Budget
    proxies: int
    sleep: Callable[[float], None] = field(default=time.sleep)

    @classmethod
    def of(cls, settings: Settings, client: redis.Redis) -> Desk | None:
        """None where no operator has a token: then there is no desk."""
        tokens = named_tokens(settings.optional("operator_tokens") or "")
        if not tokens:
            return None
        return cls(
            Operators(tokens, client),
            SettingsLog(settings.cluster),
            SettingsMirror(client),
            ValueStates(client),
            Sessions(tokens, client),
            Figures(client),
            HookStates(client),
            Budget(settings.budget_per_second, settings.budget_per_hour),
            settings.proxies,
        )

    def in_effect(self, version: int) -> bool:
        """Whether publishers act on the record at that offset, after some waiting.

        Once Redis knows it, release.lua lets nobody release by anything older.
        """
        deadline = time.monotonic() + EFFECT_S
        while self.mirror.position() <= version:
            if time.monotonic() > deadline:
                return False
            self.sleep(0.01)
        return True
