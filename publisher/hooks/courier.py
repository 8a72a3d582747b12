"""What one webhook is owed, and each attempt to deliver it.

A value stands in the queue once, at the place of its oldest release that was not delivered, and
what is sent is its newest release by then. So a slow receiver gets fewer releases, never an older
one after a newer, and no value keeps another waiting.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from holdfast.errors import UnavailableError
from holdfast.hook_states import HookState
from holdfast.hooks import Hook
from holdfast.snapshots import Snapshot
from publisher.hooks import metrics
from publisher.hooks.message import Message, message
from publisher.hooks.sender import GONE, Outcome

log = logging.getLogger(__name__)

REQUEST_S = 8.0  # for a receiver to answer
FIRST_PAUSE_S, MOST_PAUSE_S = 1.0, 900.0
MOST_RETRY_AFTER_S = 3_600.0
LEAST_FAILURES = 10  # before a hook is given up, however long that takes
ANNOUNCE_S = 1.0  # that a release waits until the edge and the viewers know of it
LOOK_S = 0.02


class Releases(Protocol):
    """What Redis knows (ReleaseFeed). Raises UnavailableError."""

    def newest(self, name: str) -> Snapshot | None: ...

    def announced(self, name: str) -> int: ...


class States(Protocol):
    """Where it is noted (HookStates). Raises UnavailableError."""

    def write(self, hook_id: str, state: HookState, delivered: dict[str, int]) -> None: ...


class Courier:
    """Delivers to one hook. `offer` and `owed` are for any thread, the rest for one.

    post: sends, within so many seconds. left_s: how long this process may go on delivering.
    patience_s: so long may a receiver fail. clock: s that only go forward; wall: s since 1970.
    """

    def __init__(
        self,
        hook: Hook,
        state: HookState,
        delivered: dict[str, int],
        releases: Releases,
        states: States,
        post: Callable[[Message, float], Outcome],
        left_s: Callable[[], float],
        patience_s: float,
        clock: Callable[[], float],
        wall: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self.hook = hook
        self.state = state
        self._delivered = delivered
        self._unnoted: dict[str, int] = {}
        self._releases = releases
        self._states = states
        self._post = post
        self._left_s = left_s
        self._patience_s = patience_s
        self._clock = clock
        self._wall = wall
        self._sleep = sleep
        self._lock = threading.Lock()
        self._owed: OrderedDict[str, None] = OrderedDict()
        self._not_before = 0.0

    def offer(self, names: Iterable[str]) -> bool:
        """These may have a newer release. Whether any of them matters here."""
        wanted = [name for name in names if self.hook.wants(name)]
        with self._lock:
            for name in wanted:
                self._owed.setdefault(name)
        return bool(wanted)

    @property
    def owed(self) -> int:
        """How many values have, or may have, a release that was not delivered."""
        with self._lock:
            return len(self._owed)

    def begin_again(self, hook: Hook) -> None:
        """An operator has enabled the hook again, or written it anew."""
        self.hook = hook
        self.state = self.state.of(hook)
        self._not_before = 0.0

    def due_in_s(self) -> float | None:
        """When the next attempt is due, 0 = now, None = not before something is offered."""
        if self.state.disabled or not self.owed:
            return None
        return max(0.0, self._not_before - self._clock())

    def attempt(self) -> None:
        """Deliver what stands first, or try to. Raises UnavailableError; nothing is lost by it."""
        with self._lock:
            name, _ = self._owed.popitem(last=False)
        # A release from here on is offered again, also one that is read here already.
        settled = False
        try:
            settled = self._deliver(name)
        finally:
            if not settled:
                with self._lock:
                    self._owed[name] = None
                    self._owed.move_to_end(name, last=False)

    def _deliver(self, name: str) -> bool:
        """Whether the value's newest release is delivered, or there is none to deliver."""
        snapshot = self._releases.newest(name)
        if snapshot is None or snapshot.version <= self._delivered.get(name, 0):
            return True
        self._wait_announced(snapshot)
        within_s = min(REQUEST_S, self._left_s())
        if within_s <= 0:
            raise UnavailableError("another process may deliver webhooks by now")
        began = self._clock()
        outcome = self._post(message(self.hook, snapshot, self._wall()), within_s)
        metrics.SECONDS.labels(self.hook.id).observe(self._clock() - began)
        result = "ok" if outcome.ok else "refused" if outcome.refused else "failed"
        metrics.DELIVERIES.labels(self.hook.id, result).inc()
        if outcome.ok:
            # Whatever Redis says from here on, it was delivered.
            self._delivered[name] = self._unnoted[name] = snapshot.version
        self._note(outcome)
        self._states.write(self.hook.id, self.state, dict(self._unnoted))
        self._unnoted.clear()
        return outcome.ok

    def _wait_announced(self, snapshot: Snapshot) -> None:
        """Who is told of a release and asks for it at once should get it. A node that does not
        answer is no reason to say nothing."""
        deadline = self._clock() + ANNOUNCE_S
        while self._releases.announced(snapshot.name) < snapshot.version:
            if self._clock() >= deadline:
                return
            self._sleep(LOOK_S)

    def _note(self, outcome: Outcome) -> None:
        now_ms = round(self._wall() * 1000)
        before = self.state
        self.state = msgspec.structs.replace(
            before, last_at_ms=now_ms, last_status=outcome.status, last_error=outcome.error
        )
        if outcome.ok:
            self.state.delivered_at_ms = now_ms
            self.state.failures = self.state.failing_since_ms = 0
            self._not_before = 0.0
            if before.failures:
                log.info("hook %s is taken again, after %d failures", self.hook.id, before.failures)
            return
        self.state.failures += 1
        self.state.failing_since_ms = before.failing_since_ms or now_ms
        pause_s = self._pause_s(outcome)
        self._not_before = self._clock() + pause_s
        self.state.reason = self._last_straw(outcome, now_ms)
        if self.state.reason:
            self.state.disabled_at_ms = now_ms
            log.error("hook %s is disabled: %s", self.hook.id, self.state.reason)
        elif self.state.failures == 1:
            log.warning("hook %s: %s", self.hook.id, outcome.error)

    def _pause_s(self, outcome: Outcome) -> float:
        doublings = min(self.state.failures - 1, 30)
        pause_s = min(MOST_PAUSE_S, FIRST_PAUSE_S * 2.0**doublings)
        # Receivers that failed together are not asked again together.
        pause_s *= random.uniform(0.5, 1.0)  # noqa: S311
        return max(pause_s, min(outcome.retry_after_s, MOST_RETRY_AFTER_S))

    def _last_straw(self, outcome: Outcome, now_ms: int) -> str:
        """Why this failure is the last one, "" = it is not."""
        if outcome.status == GONE:
            return f"answered {GONE}: gone"
        failing_s = (now_ms - self.state.failing_since_ms) / 1000
        if self.state.failures < LEAST_FAILURES or failing_s < self._patience_s:
            return ""
        hours = failing_s / 3600
        return f"{self.state.failures} failures within {hours:.1f} h; the last: {outcome.error}"
