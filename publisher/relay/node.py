"""One Pushpin, as the relay knows it: a short queue, and what it missed settled by confirms."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import requests

from holdfast.errors import UnavailableError
from holdfast.formats import probe
from publisher import metrics
from publisher.nodes import Node
from publisher.push import bodies, control, publish
from publisher.relay.batch import Batch
from publisher.relay.metrics import SKIPPED

READ_TIMEOUT_S = 5.0  # a megabyte for many viewers takes Pushpin a while
MOST_QUEUED = 4  # batches
MOST_OWED_KEYS = 10_000  # per topic; the others are mended by their next record


class RelayNode(Node[Batch]):
    """confirms: the batch that confirms a topic and some of its keys as they stand now."""

    kind = "relay to pushpin"

    def __init__(
        self,
        grip_url: str,
        confirms: Callable[[str, set[str]], Batch | None],
        clock: Callable[[], float] = time.monotonic,
        fastly_key: str | None = None,
    ) -> None:
        self._config = control(grip_url, fastly_key)
        super().__init__(self._config["control_uri"].rstrip("/"), clock)
        self._confirms = confirms
        self._owed: dict[str, set[str]] = {}
        self._behind = False
        self._room = threading.Condition()

    def offer(self, batch: Batch, patience_s: float) -> None:
        """Queue `batch`. A node that has no room for it in time is owed a confirm instead; nobody
        waits for one that is failing.

        What it has in hand stays as small as its queue, however long it takes.
        """
        with self._room:
            if not self._behind:
                self._room.wait_for(lambda: self.failing or self._has_room(), patience_s)
                self._behind = not self._has_room()
            if self._behind:
                SKIPPED.labels(self.url).inc()
                self.owe(batch)
                return
        self.submit(batch)

    def turn(self, wait_s: float | None) -> bool:
        going_on = super().turn(wait_s)
        with self._room:
            self._room.notify_all()
            caught_up = self._behind and not self.failing and self._jobs.empty()
            if caught_up:
                self._behind = False
        if caught_up:
            self._try_settle()
        return going_on

    def send(self, work: Batch) -> None:
        for body in work.bodies:
            self._post(body)

    def owe(self, work: Batch) -> None:
        with self._room:
            keys = self._owed.setdefault(work.topic, set())
            keys.update(work.keys if len(keys) + len(work.keys) <= MOST_OWED_KEYS else ())

    def settle(self) -> None:
        with self._room:
            owed, self._owed = self._owed, {}
        try:
            sent = False
            for topic, keys in owed.items():
                confirms = self._confirms(topic, keys)
                if confirms is not None:
                    self.send(confirms)
                    sent = True
            if not sent:  # the node has to prove that it is back
                for body in bodies([probe()]):
                    self._post(body)
        except (requests.RequestException, UnavailableError) as error:
            for topic, keys in owed.items():
                self.owe(Batch(topic, frozenset(keys), ()))
            if isinstance(error, UnavailableError):
                # Where the chains stand can't be told now: the node is tried again later.
                raise requests.RequestException(str(error)) from error
            raise

    def forget(self) -> None:
        super().forget()
        SKIPPED.remove_by_labels({"node": self.url})

    def count(self, result: str) -> None:
        metrics.PUBLISHES.labels(self.url, result).inc()

    def _has_room(self) -> bool:
        return self._jobs.qsize() < MOST_QUEUED

    def _post(self, body: bytes) -> None:
        publish(self.session, self.url, self._config, body, READ_TIMEOUT_S)
