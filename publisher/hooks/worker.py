"""One webhook's thread: a receiver that hangs, or a name that is not resolved, holds up only it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from holdfast.errors import UnavailableError
from holdfast.hooks import Hook
from publisher import metrics
from publisher.hooks.courier import Courier

log = logging.getLogger(__name__)

RETRY_S = 0.5  # while Redis can't be asked


class Worker(threading.Thread):
    """Makes the courier's attempts when they are due. Its methods are for any thread."""

    def __init__(self, courier: Courier) -> None:
        super().__init__(name=f"hook {courier.hook.id}", daemon=True)
        self._courier = courier
        self._news: Hook | None = None
        self._changed = threading.Condition()
        self._woken = self._stopping = False

    @property
    def hook(self) -> Hook:
        with self._changed:
            return self._news or self._courier.hook

    @property
    def courier(self) -> Courier:
        return self._courier

    def offer(self, names: Iterable[str]) -> None:
        if self._courier.offer(names):
            self._wake()

    def begin_again(self, hook: Hook) -> None:
        """The hook as it is now."""
        with self._changed:
            self._news = hook
        self._wake()

    def stop(self) -> None:
        """End after the request that is under way."""
        with self._changed:
            self._stopping = True
        self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify()

    def run(self) -> None:
        while self._wait():
            try:
                self._courier.attempt()
            except UnavailableError as error:
                metrics.REDIS_ERRORS.inc()
                log.warning("hook %s waits: %s", self._courier.hook.id, error)
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, RETRY_S)

    def _wait(self) -> bool:
        """Until an attempt is due; False when it is time to end."""
        with self._changed:
            while not self._stopping:
                if self._news is not None:
                    self._courier.begin_again(self._news)
                    self._news = None
                # Cleared before looking: what is offered meanwhile sets it again.
                self._woken = False
                due_in_s = self._courier.due_in_s()
                if due_in_s is not None and due_in_s <= 0:
                    return True
                self._changed.wait_for(lambda: self._woken, due_in_s)
            return False
