"""Viewers and posters for locust; README.md says how to run them and what is measured."""

from __future__ import annotations

import json
import random
import time
import uuid
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

import gevent
import requests
from ledger import Ledger
from locust import FastHttpUser, HttpUser, events, task
from locust.exception import StopUser
from sse import Event, EventParser

CONNECT_TIMEOUT_S = 10
SILENCE_S = 45  # more than two heartbeats of 20 s
SETTLE_S = 1.5
SETTLE_TRIES = 8
BACKOFF_FIRST_S, BACKOFF_MOST_S = 0.5, 15.0

ledger = Ledger()


class Violation(Exception):
    """The service broke a promise."""


@events.init_command_line_parser.add_listener
def _options(parser: Any) -> None:
    parser.add_argument("--value", default="counter", help="A sum that the users watch and raise")
    parser.add_argument(
        "--post-rate", type=float, default=1.0, help="Updates per second of each poster"
    )


@events.test_start.add_listener
def _find_base(environment: Any, **_: object) -> None:
    """Propagation can be measured from a value that nobody changes: wait until it rests."""
    ledger.base, ledger.sent, ledger.acknowledged = None, 0, []
    options: Namespace = environment.parsed_options
    url = f"{environment.host or options.host}/values/{options.value}"
    before = None
    for _attempt in range(SETTLE_TRIES):
        try:
            now = requests.get(url, timeout=CONNECT_TIMEOUT_S).json()["value"]
        except (requests.RequestException, ValueError, KeyError):
            return  # the users will report what is wrong
        if now == before and isinstance(now, int):
            ledger.base = now
            return
        before = now
        gevent.sleep(SETTLE_S)


class Viewer(HttpUser):
    """Holds one event stream and checks every version that comes.

    HttpUser (requests), because a chunk is handed on as it arrives. FastHttpUser waits until the
    number of bytes that were asked for has come, so an event would sit in its buffer until later
    ones fill it; and a stream that breaks looks to it like one that ended.
    """

    weight = 4

    def on_start(self) -> None:
        self.path = f"/values/{self.environment.parsed_options.value}"
        self.version = 0
        self.shown = 0
        self.backoff_s = BACKOFF_FIRST_S

    @task
    def watch(self) -> None:
        """One connection, until it breaks; then wait with full jitter, as a client should."""
        started = time.perf_counter()
        headers = {"Accept": "text/event-stream"}
        if self.version:
            headers["Last-Event-ID"] = str(self.version)
        timeout = (CONNECT_TIMEOUT_S, SILENCE_S)
        # locust's own figure of a streamed request is the time until its head has come.
        with self.client.get(
            self.path,
            name=f"{self.path} connect",
            headers=headers,
            stream=True,
            timeout=timeout,
            catch_response=True,
        ) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
            elif not answer.headers["Content-Type"].startswith("text/event-stream"):
                answer.failure(f"content type {answer.headers['Content-Type']}")
            else:
                answer.success()
        if answer.status_code == 200:
            self._follow(answer, started, returning="Last-Event-ID" in headers)
        gevent.sleep(random.uniform(0, self.backoff_s))
        self.backoff_s = min(BACKOFF_MOST_S, 2 * self.backoff_s)

    def _follow(self, answer: requests.Response, started: float, *, returning: bool) -> None:
        parser, first = EventParser(), True
        try:
            for chunk in _chunks(answer):
                for event in parser.feed(chunk):
                    if first:
                        self._report("first event", time.perf_counter() - started)
                        self.backoff_s = BACKOFF_FIRST_S
                    self._check(event, returning=returning, live=not first)
                    first = False
            self._report("hold", None, Violation("the stream ended"))
        except requests.RequestException as error:
            self._report("hold", None, error)
        finally:
            answer.close()

    def _check(self, event: Event, *, returning: bool, live: bool) -> None:
        if event.event == "reset":
            if returning:
                self._report("event", None, Violation("reset after an id that the service gave"))
            self.version = 0
            return
        try:
            snapshot = json.loads(event.data)
            version, value = snapshot["version"], snapshot["value"]
        except (ValueError, KeyError, TypeError) as error:
            self._report("event", None, Violation(f"unreadable: {error!r}"))
            return
        fault = None
        if str(version) != event.id:
            fault = Violation("the id is not the version")
        elif version <= self.version and version:
            # Without the versions: every message of its own would be a row of the report.
            fault = Violation("a version that is not newer than the one before")
        self._report("event", None, fault, len(event.data))
        self.version = max(self.version, version)
        self.shown, waits = ledger.shown(value, self.shown)
        if waits and live:  # what a connection begins with is as old as it happens to be
            self._report("propagation, oldest post", max(waits))
            self._report("propagation, newest post", min(waits))

    def _report(
        self, what: str, seconds: float | None, fault: Exception | None = None, length: int = 0
    ) -> None:
        self.environment.events.request.fire(
            request_type="SSE",
            name=f"{self.path} {what}",
            response_time=None if seconds is None else seconds * 1000,
            response_length=length,
            exception=fault,
            context=self.context(),
        )


class Poster(FastHttpUser):
    """Posts `{"add": 1}`. FastHttpUser: many small requests, each cheaper than with requests."""

    weight = 1
    network_timeout = 15.0
    connection_timeout = float(CONNECT_TIMEOUT_S)

    def wait_time(self) -> float:
        """Posts come at random, as people's do: equal pauses would make all posters one crowd."""
        rate = self.environment.parsed_options.post_rate
        if rate <= 0:
            raise StopUser
        return random.expovariate(rate)

    @task
    def add(self) -> None:
        path = f"/values/{self.environment.parsed_options.value}"
        ledger.send()
        with self.client.post(
            path,
            json={"add": 1},
            headers={"Idempotency-Key": str(uuid.uuid4())},
            catch_response=True,
        ) as answer:
            if answer.status_code != 202:
                answer.failure(f"status {answer.status_code}")
            elif answer.json().get("name") != self.environment.parsed_options.value:
                answer.failure("the answer names another value")
            else:
                ledger.acknowledge()
                answer.success()


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    # None: each chunk as it comes, whatever its size.
    yield from answer.iter_content(chunk_size=None)
