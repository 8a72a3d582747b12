"""The webhooks' loop: who delivers, which hooks there are, what was released."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from holdfast.errors import UnavailableError
from holdfast.hook_states import HookState, HookStates
from holdfast.hooks import Hook, hooks_of
from holdfast.release_feed import ReleaseFeed
from holdfast.settings_mirror import SettingsMirror
from publisher import metrics as shared
from publisher.hooks import metrics
from publisher.hooks.lease import Lease
from publisher.hooks.worker import Worker

log = logging.getLogger(__name__)

LOOK_S = 0.1  # between looks for releases
IDLE_S = 0.5  # the same while there are no hooks, or while another process delivers
STOP_S = 9.0  # for requests under way

Hire = Callable[[Hook, HookState, dict[str, int]], Worker]


class Hooks:
    """Offers releases to a worker per hook, while this process holds the lease. hire: makes one."""

    def __init__(
        self,
        mirror: SettingsMirror,
        feed: ReleaseFeed,
        states: HookStates,
        lease: Lease,
        hire: Hire,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mirror = mirror
        self._feed = feed
        self._states = states
        self._lease = lease
        self._hire = hire
        self._clock = clock
        self._workers: dict[str, Worker] = {}
        self._leaving: dict[str, Worker] = {}  # whose last request may be under way
        self._position = -1
        self._hooks: Mapping[str, Hook] = {}
        self._new: set[str] = set()  # workers that were not offered everything so far
        self._gone: set[str] = set()  # hooks of which something is kept
        self.stepped_at = clock()

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set. Redis may come, go and come back meanwhile."""
        while not stopping.is_set():
            try:
                stopping.wait(self.step())
            except UnavailableError as error:
                shared.REDIS_ERRORS.inc()
                log.warning("%s; trying again", error)
                if not self._lease.left_s():
                    self._stop()
                stopping.wait(IDLE_S)
            self.stepped_at = self._clock()

    def step(self) -> float:
        """One turn; seconds until the next. Raises UnavailableError."""
        leads = self._lease.renew()
        metrics.LEADS.set(leads)
        if not leads:
            self._stop()
            return IDLE_S
        self._read_settings()
        self._employ()
        self._offer()
        self._count()
        return LOOK_S if self._workers else IDLE_S

    def leave(self) -> None:
        """End, and let another process go on at once unless a request is still under way."""
        self._stop()
        deadline = self._clock() + STOP_S
        for worker in self._leaving.values():
            worker.join(max(0.0, deadline - self._clock()))
        if any(worker.is_alive() for worker in self._leaving.values()):
            return
        try:
            self._lease.release()
        except UnavailableError as error:
            log.warning("%s; another process waits until the lease ends", error)

    def _read_settings(self) -> None:
        position = self._mirror.position()
        if position in (self._position, -1):
            return  # nothing new; or a Redis that nobody has told of the settings so far
        found = self._mirror.read()
        hooks = hooks_of(found.tuning)
        self._gone |= set(self._hooks) - set(hooks)
        self._position, self._hooks = found.position, hooks

    def _employ(self) -> None:
        """A worker for each hook, of its version; none for what is no more."""
        self._leaving = {id: worker for id, worker in self._leaving.items() if worker.is_alive()}
        for hook_id in set(self._workers) - set(self._hooks):
            self._dismiss(hook_id)
        for hook_id in self._gone - set(self._leaving):
            self._states.forget(hook_id)
            self._gone.discard(hook_id)
            metrics.forget(hook_id)
            log.info("hook %s is no more", hook_id)
        for hook_id, hook in self._hooks.items():
            worker = self._workers.get(hook_id)
            if worker is None:
                if hook_id not in self._leaving:
                    self._start(hook)
            elif not worker.is_alive():
                # Of something that nobody thought of; its traceback is in the log.
                del self._workers[hook_id]
            elif worker.hook.version != hook.version:
                worker.begin_again(hook)

    def _start(self, hook: Hook) -> None:
        state = self._states.read([hook])[hook.id]
        worker = self._hire(hook, state, self._states.delivered(hook.id))
        worker.start()
        self._workers[hook.id] = worker
        self._new.add(hook.id)

    def _offer(self) -> None:
        if not self._workers:
            return
        new = self._feed.look()
        if new is None:
            self._new.update(self._workers)
        elif new:
            for hook_id, worker in self._workers.items():
                if hook_id not in self._new:
                    worker.offer(new)
        if self._new:
            everything = self._feed.everything()
            for hook_id in self._new:
                self._workers[hook_id].offer(everything)
            self._new.clear()

    def _dismiss(self, hook_id: str) -> None:
        worker = self._leaving[hook_id] = self._workers.pop(hook_id)
        self._new.discard(hook_id)
        worker.stop()

    def _stop(self) -> None:
        for hook_id in list(self._workers):
            self._dismiss(hook_id)

    def _count(self) -> None:
        counts = {"live": 0, "failing": 0, "disabled": 0}
        for hook_id, worker in self._workers.items():
            metrics.OWED.labels(hook_id).set(worker.courier.owed)
            counts[worker.courier.state.word] += 1
        for word, count in counts.items():
            metrics.HOOKS.labels(word).set(count)
