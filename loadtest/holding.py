"""What every user does who holds a stream: connect, follow, come back, report."""

from __future__ import annotations

import random
import time
from typing import ClassVar

import gevent
import requests
from locust import HttpUser, task
from promises import Violation

CONNECT_TIMEOUT_S = 10
SILENCE_S = 45  # more than two heartbeats of 20 s
BACKOFF_FIRST_S, BACKOFF_MOST_S = 0.5, 15.0


class HoldingUser(HttpUser):
    """Holds one stream at a time, and comes back with full jitter when it breaks.

    HttpUser (requests), because a chunk is handed on as it arrives. FastHttpUser waits until the
    number of bytes that were asked for has come, so an event would sit in its buffer until later
    ones fill it; and a stream that breaks looks to it like one that ended.
    holding: all of them in this process that hold a stream now.
    """

    abstract = True
    holding: ClassVar[set[HoldingUser]] = set()
    path = ""
    content_type = ""

    def on_start(self) -> None:
        self.backoff_s = BACKOFF_FIRST_S
        self.begin()

    def on_stop(self) -> None:
        self.holding.discard(self)

    def begin(self) -> None:
        """Set `path`, and forget what an earlier run has shown."""
        raise NotImplementedError

    def headers(self) -> dict[str, str]:
        """Of the next request."""
        raise NotImplementedError

    def open(self, *, returning: bool) -> None:
        """A new connection: forget half an event. returning: it said what was seen before."""
        raise NotImplementedError

    def take(self, chunk: bytes) -> None:
        """What came; report it. Calls `came` once for each event."""
        raise NotImplementedError

    def shows(self, final: dict[str, object]) -> bool:
        """Whether the screen shows the newest snapshot."""
        raise NotImplementedError

    @task
    def hold(self) -> None:
        """One connection, until it breaks."""
        started, headers = time.perf_counter(), self.headers()
        # locust's own figure of a streamed request is the time until its head has come.
        with self.client.get(
            self.path,
            name=f"{self.path} connect",
            headers=headers,
            stream=True,
            timeout=(CONNECT_TIMEOUT_S, SILENCE_S),
            catch_response=True,
        ) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
            elif not answer.headers["Content-Type"].startswith(self.content_type):
                answer.failure(f"content type {answer.headers['Content-Type']}")
            else:
                answer.success()
        if answer.status_code == 200:
            self._started, self._live = started, False
            self.open(returning="Last-Event-ID" in headers)
            self._follow(answer)
        gevent.sleep(random.uniform(0, self.backoff_s))
        self.backoff_s = min(BACKOFF_MOST_S, 2 * self.backoff_s)

    def _follow(self, answer: requests.Response) -> None:
        self.holding.add(self)
        try:
            # None: each chunk as it comes, whatever its size.
            for chunk in answer.iter_content(chunk_size=None):
                self.take(chunk)
            self.report("hold", None, Violation("the stream ended"))
        except requests.RequestException as error:
            self.report("hold", None, error)
        finally:
            self.holding.discard(self)
            answer.close()

    def came(self) -> bool:
        """Note an event; whether it is live, not the first of its connection."""
        live, self._live = self._live, True
        if not live:
            self.report("first event", time.perf_counter() - self._started)
            self.backoff_s = BACKOFF_FIRST_S
        return live

    def report(
        self, what: str, seconds: float | None, fault: Exception | None = None, length: int = 0
    ) -> None:
        """One entry of locust's report."""
        self.environment.events.request.fire(
            request_type="SSE" if self.content_type == "text/event-stream" else "TEXT",
            name=f"{self.path} {what}",
            response_time=None if seconds is None else seconds * 1000,
            response_length=length,
            exception=fault,
            context=self.context(),
        )
