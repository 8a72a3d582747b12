"""Which of several processes delivers: the one that holds the lease in Redis."""

from __future__ import annotations

import time
from collections.abc import Callable

from holdfast.hook_states import HookStates

LEASE_S = 10.0  # longer than a request (courier.REQUEST_S), so that each may take its whole time
RENEW_S = 1.0


class Lease:
    """A process's share in it. holder: its slot, the same at each start: it need not wait for
    itself. clock: s that only go forward."""

    def __init__(
        self, states: HookStates, holder: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._states = states
        self._holder = holder
        self._clock = clock
        self._until = 0.0
        self._renew_at = 0.0

    def left_s(self) -> float:
        """How long nobody else will deliver, 0 = others may by now."""
        return max(0.0, self._until - self._clock())

    def renew(self) -> bool:
        """Take or keep it, if that is due. Whether it is held. Raises UnavailableError."""
        now = self._clock()
        if now >= self._renew_at:
            self._renew_at = now + RENEW_S
            held = self._states.lease(self._holder, int(LEASE_S * 1000))
            # Counted from before Redis was asked: it ends here before it does there.
            self._until = now + LEASE_S if held else 0.0
        return self.left_s() > 0

    def release(self) -> None:
        """Let another one have it at once. Raises UnavailableError."""
        self._until = 0.0
        self._states.lease(self._holder, 0)
