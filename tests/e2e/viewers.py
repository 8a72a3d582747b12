"""Viewers and posters that know nothing but the public HTTP API."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, connect_sse

# As many idle connections as connections: httpcore 1.0.9 may close one too many just when another
# thread takes it for a request, which then fails with "Bad file descriptor".
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100)
_CLIENT = httpx.Client(timeout=15, trust_env=False, limits=_LIMITS)


def until(condition: Callable[[], Any], what: str, timeout_s: float = 20.0) -> Any:
    """Poll `condition` until it is true; its result. AssertionError names `what` otherwise."""
    deadline = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.02)


def post(base: str, name: str, update: dict[str, Any]) -> httpx.Response:
    return _CLIENT.post(f"{base}/values/{name}", json=update)


def snapshot(base: str, name: str) -> dict[str, Any]:
    answer = _CLIENT.get(f"{base}/values/{name}")
    answer.raise_for_status()
    result: dict[str, Any] = answer.json()
    return result


def answers(url: str) -> bool:
    """Whether a GET is answered by 200."""
    try:
        return _CLIENT.get(url).status_code == 200
    except httpx.HTTPError:
        return False


@dataclass
class Viewer:
    """Holds one stream in a thread and notes what arrives. Reconnects only if told to.

    path: with its query, e.g. /values/counter?as=sse, ?as=ndjson, or /stream.
    """

    base: str
    path: str
    reconnect: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    trust: ssl.SSLContext | bool = True
    http2: bool = False
    events: list[tuple[float, str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    content_type: str = ""
    connected: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._client = httpx.Client(
            timeout=httpx.Timeout(10, read=60), verify=self.trust, http2=self.http2
        )
        self._answer: httpx.Response | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Viewer:
        self._thread.start()
        return self

    def __enter__(self) -> Viewer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stop.set()
        if self._answer is not None:
            _shut(self._answer)  # before the client lets go of the socket
        self._thread.join(5)
        self._client.close()

    # -- what it saw

    @property
    def versions(self) -> list[int]:
        """Versions of the releases, in the order in which they came."""
        return [data["version"] for _, event, data in self.events if event == "message"]

    @property
    def values(self) -> list[Any]:
        return [data["value"] for _, event, data in self.events if event == "message"]

    @property
    def lines(self) -> list[str]:
        """Of a text stream."""
        return [data for _, event, data in self.events if event == "line"]

    @property
    def ended(self) -> bool:
        """Whether the stream is over, and nobody comes back."""
        return not self._thread.is_alive()

    @property
    def resets(self) -> int:
        return sum(event == "reset" for _, event, _ in self.events)

    def assert_increasing(self) -> None:
        versions = self.versions
        assert all(a < b for a, b in pairwise(versions)), versions

    def wait_connected(self) -> Viewer:
        until(lambda: self.events or self.failures, f"a first event on {self.path}")
        assert not self.failures, self.failures
        return self

    # -- the thread

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._stream()
            except (httpx.HTTPError, RuntimeError, ValueError) as error:
                if not self._stop.is_set():
                    self.failures.append(repr(error))
            if not self.reconnect:
                return
            self._stop.wait(0.2)

    def _stream(self) -> None:
        path = self.path
        if self.versions and self.reconnect:
            path += f"{'&' if '?' in path else '?'}after={self.versions[-1]}"
        if path.startswith("/stream"):
            with self._client.stream("GET", self.base + path, headers=self.headers) as answer:
                self._opened(answer)
                for line in answer.iter_lines():
                    if line:
                        self.events.append((time.monotonic(), "line", line))
            return
        if "ndjson" in path + self.headers.get("Accept", ""):
            with self._client.stream("GET", self.base + path, headers=self.headers) as answer:
                self._opened(answer)
                for line in answer.iter_lines():
                    self._note_line(line)
            return
        with connect_sse(self._client, "GET", self.base + path, headers=self.headers) as source:
            self._opened(source.response)
            for event in source.iter_sse():
                self._note(event)

    def _opened(self, answer: httpx.Response) -> None:
        self._answer = answer
        answer.raise_for_status()
        self.content_type = answer.headers["content-type"]
        self.connected += 1

    def _note(self, event: ServerSentEvent) -> None:
        if not event.data:  # a comment; httpx-sse makes an event of it once an id was seen
            return
        data = json.loads(event.data)
        if event.event == "message":
            assert event.id == str(data["version"])
        self.events.append((time.monotonic(), event.event, data))

    def _note_line(self, line: str) -> None:
        """Of NDJSON; a blank one is a heartbeat."""
        data = json.loads(line) if line else {}
        for event, found in (("reset", data.get("reset")), ("message", data)):
            if found:
                self.events.append((time.monotonic(), event, found))
                return


def _shut(answer: httpx.Response) -> None:
    """Wake a thread that waits for bytes: closing the client alone does not."""
    stream = answer.extensions.get("network_stream")
    raw = stream.get_extra_info("socket") if stream is not None else None
    if raw is not None:
        try:
            raw.shutdown(2)
        except OSError:
            return
