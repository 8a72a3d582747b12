"""How webhooks stand, in Redis: what each was sent last, how its receiver took it, who delivers.

All of it may be lost: then each hook is sent the newest release of its values again, with the ids
that they had. Methods raise UnavailableError when Redis can't be asked; asking again is always
safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import redis

from holdfast.hooks import Hook
from holdfast.state import available, load_script

LEASE_KEY = "hook_lease"


class HookState(msgspec.Struct, omit_defaults=True):
    """How a hook stands. Moments in ms since 1970, 0 = never.

    setting: the version of the hook that this is about. failures: since the last success.
    last_status: of HTTP, 0 = there was no answer; last_error: what went wrong then, "" = nothing.
    reason: why it is disabled.
    """

    setting: int = 0
    failures: int = 0
    failing_since_ms: int = 0
    last_at_ms: int = 0
    last_status: int = 0
    last_error: str = ""
    delivered_at_ms: int = 0
    disabled_at_ms: int = 0
    reason: str = ""

    @property
    def disabled(self) -> bool:
        return self.disabled_at_ms > 0

    @property
    def word(self) -> str:
        """live, failing or disabled."""
        if self.disabled:
            return "disabled"
        return "failing" if self.failures else "live"

    def of(self, hook: Hook) -> HookState:
        """The same for this version of the hook: one that was enabled again begins anew."""
        if self.setting >= hook.version:
            return self
        return HookState(hook.version, delivered_at_ms=self.delivered_at_ms)


_STATE = msgspec.json.Decoder(HookState)


class HookStates:
    """Reads and writes them, and the lease of who delivers."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._lease = load_script(client, "hook_lease")

    def read(self, hooks: Iterable[Hook]) -> dict[str, HookState]:
        """By the id of the hook."""
        wanted = list(hooks)
        if not wanted:
            return {}
        with available():
            replies: Any = self._redis.mget([f"hook:{hook.id}" for hook in wanted])
        found = zip(wanted, replies, strict=True)
        return {hook.id: _decode(reply).of(hook) for hook, reply in found}

    def delivered(self, hook_id: str) -> dict[str, int]:
        """The version of each value that was delivered last."""
        with available():
            reply: Any = self._redis.hgetall(_delivered_key(hook_id))
        return {name.decode(): int(version) for name, version in reply.items()}

    def write(
        self, hook_id: str, state: HookState, delivered: Mapping[str, int] | None = None
    ) -> None:
        """Note how a hook stands, and what was delivered since it was noted last."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.set(f"hook:{hook_id}", msgspec.json.encode(state))
        if delivered:
            pairs: list[Any] = [part for pair in delivered.items() for part in pair]
            pipe.hset(_delivered_key(hook_id), items=pairs)
        with available():
            pipe.execute()

    def forget(self, hook_id: str) -> None:
        """The hook is no more."""
        with available():
            self._redis.delete(f"hook:{hook_id}", _delivered_key(hook_id))

    def lease(self, holder: str, ms: int) -> bool:
        """Whether `holder` delivers for that long from now on; 0 ms: no longer."""
        with available():
            reply: Any = self._lease(keys=[LEASE_KEY], args=[holder, ms])
        return bool(reply)


def _decode(reply: bytes | None) -> HookState:
    try:
        return HookState() if reply is None else _STATE.decode(reply)
    except msgspec.DecodeError:
        return HookState()


def _delivered_key(hook_id: str) -> str:
    return f"hook_delivered:{hook_id}"
