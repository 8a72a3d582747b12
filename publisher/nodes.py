"""A node: a Varnish or a Pushpin, with an ordered queue and a thread of its own.

A dead or silent node delays no other: it holds up only its own thread, and what it missed is
owed to it in a form that doesn't grow (an edge: one purge of everything; a Pushpin: confirms).
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

import requests

from publisher import metrics
from publisher.patience import Patience
from publisher.tally import Tally

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 0.5
FAR_CONNECT_TIMEOUT_S = 3.0  # over the Internet, and TLS needs three ways
READ_TIMEOUT_S = 2.0
RETRY_FIRST_S = 0.25
# An edge that is back serves what it has until it is purged, so it is tried often; not one that
# answers that it can't.
SILENT_RETRY_MOST_S, REFUSED_RETRY_MOST_S = 1.0, 5.0

Work = TypeVar("Work")


@dataclass(slots=True)
class _Job(Generic[Work]):
    work: Work
    attempted: Future[bool]


class Node(threading.Thread, Generic[Work]):
    """Sends work to one node, in order. Subclasses say how, and what a failure leaves owed.

    failing: it is owed something. late: somebody waited for it in vain, and it has not taken
    anything since. Nobody waits for a node that is either.
    """

    kind = "node"
    counter = metrics.PUBLISHES

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(name=f"{self.kind} {url}", daemon=True)
        self.url = url
        self._clock = clock
        self.session = requests.Session()
        self.session.trust_env = False
        self.failing = False
        self.late = False
        self.patience = Patience()
        self.tally = Tally(clock)
        self._jobs: queue.Queue[_Job[Work] | None] = queue.Queue()
        self._retry_at = 0.0
        self._retry_s = RETRY_FIRST_S
        self._failure = ""

    def submit(self, work: Work) -> Future[bool]:
        """Queue `work`; the future says, once it was attempted, whether the node took it."""
        attempted: Future[bool] = Future()
        self._jobs.put(_Job(work, attempted))
        return attempted

    def retire(self) -> None:
        """Finish what is queued, then end; returns at once."""
        self._jobs.put(None)

    def stop(self, timeout_s: float = 5.0) -> None:
        """Finish what is queued, then end."""
        self.retire()
        self.join(timeout_s)

    # -- for subclasses

    def send(self, work: Work) -> None:
        """One attempt. Raises requests.RequestException."""
        raise NotImplementedError

    def owe(self, work: Work) -> None:
        """Note that the node did not get `work`."""
        raise NotImplementedError

    def settle(self) -> None:
        """Send what is owed. Raises requests.RequestException when some of it is left."""
        raise NotImplementedError

    def count(self, result: str) -> None:
        raise NotImplementedError

    def welcome(self) -> None:
        """It joins others that are at work, before it starts: what has it missed?"""

    def forget(self) -> None:
        """It is gone: drop its series, or addresses that come and go would fill the memory."""
        metrics.forget(self.url)

    # -- the thread

    def run(self) -> None:
        metrics.begin_node(self.url, self.counter)
        while self.turn(self._pause_s()):
            pass
        self.session.close()
        self.forget()

    def turn(self, wait_s: float | None) -> bool:
        """Do the next job, or what is owed if none comes within `wait_s`; False at the end."""
        try:
            job = self._jobs.get(timeout=wait_s)
        except queue.Empty:
            self._try_settle()
            return True
        if job is None:
            return False
        if self.failing and self._clock() >= self._retry_at:
            self._try_settle()
        if self.failing:
            self.owe(job.work)
            job.attempted.set_result(False)
        else:
            job.attempted.set_result(self._try_send(job.work))
        return True

    @property
    def due(self) -> bool:
        """Whether a turn has something to do now."""
        return not self._jobs.empty() or (self.failing and self._clock() >= self._retry_at)

    def _pause_s(self) -> float | None:
        return max(0.0, self._retry_at - self._clock()) if self.failing else None

    def _try_send(self, work: Work) -> bool:
        started = self._clock()
        try:
            self.send(work)
        except requests.RequestException as error:
            self.owe(work)
            self._failed(error)
            return False
        finally:
            took_s = self._clock() - started
            metrics.NODE_SECONDS.labels(self.url).observe(took_s)
        self.patience.note(took_s)
        self.tally.took(took_s)
        self.late = False
        self.count("ok")
        return True

    def _try_settle(self) -> None:
        try:
            self.settle()
        except requests.RequestException as error:
            self._failed(error)
            return
        log.info("%s is back and has got what it was owed", self.name)
        self.failing = self.late = False
        self.tally.owes(False)
        self._retry_s = RETRY_FIRST_S
        metrics.NODE_OWED.labels(self.url).set(0)

    def _failed(self, error: requests.RequestException) -> None:
        failure = getattr(error, "result", "failed")
        self.count(failure)
        if not self.failing or failure != self._failure:
            log.warning("%s failed, owed until it is back: %s", self.name, error)
        self.failing = True
        self.tally.failed()
        self.tally.owes(True)
        self._failure = failure
        metrics.NODE_OWED.labels(self.url).set(1)
        # Full jitter, so that publishers don't knock on a node that returns all at once.
        pause_s = random.uniform(0.1, 1.0) * self._retry_s  # noqa: S311
        self._retry_at = self._clock() + max(pause_s, getattr(error, "wait_s", 0.0))
        answered = isinstance(error, requests.HTTPError)
        most_s = REFUSED_RETRY_MOST_S if answered else SILENT_RETRY_MOST_S
        self._retry_s = min(most_s, self._retry_s * 2)


def connect_timeout_s(url: str) -> float:
    return FAR_CONNECT_TIMEOUT_S if url.startswith("https:") else CONNECT_TIMEOUT_S
