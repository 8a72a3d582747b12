"""One event stream, read by a thread, so that whoever waits for it can give up at any moment."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import cast

import httpx
from httpx_sse import EventSource, ServerSentEvent

from holdfast.client.backoff import retry_after_s
from holdfast.client.errors import RefusedError, may_pass, refusal


class StreamEnd(Exception):
    """The stream is over. status: of an answer that is no stream, 0 = it broke, or never began."""

    def __init__(self, why: str, status: int = 0, retry_after_s: float = 0.0) -> None:
        super().__init__(why)
        self.status = status
        self.retry_after_s = retry_after_s


class Stream:
    """Events from the moment it is made. Close it."""

    def __init__(self, client: httpx.Client, url: str, parameters: dict[str, str]) -> None:
        self._client = client
        self._url = url
        self._parameters = parameters
        self._heard: SimpleQueue[ServerSentEvent | Exception | None] = SimpleQueue()
        self._answer: httpx.Response | None = None
        self._closed = False
        threading.Thread(target=self._read, name="holdfast-stream", daemon=True).start()

    def next(self, timeout_s: float) -> ServerSentEvent | None:
        """The next event; None: something came that is no whole event, a heartbeat for example.

        Raises TimeoutError after that long without any, StreamEnd, or RefusedError.
        """
        try:
            heard = self._heard.get(timeout=timeout_s)
        except Empty:
            raise TimeoutError(f"nothing came for {timeout_s:g} s") from None
        if isinstance(heard, Exception):
            self._heard.put(heard)  # for whoever asks again
            raise heard
        return heard

    def close(self) -> None:
        self._closed = True
        if self._answer is not None:
            _shut(self._answer)

    def _read(self) -> None:
        try:
            timeout = httpx.Timeout(10.0, read=None)
            with self._client.stream(
                "GET",
                self._url,
                params=self._parameters,
                headers={"Accept": "text/event-stream", "Cache-Control": "no-store"},
                timeout=timeout,
            ) as answer:
                self._answer = answer
                if self._closed:
                    return
                for event in _events(answer, self._heard.put):
                    self._heard.put(event)
            self._heard.put(StreamEnd("the stream ended"))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where somebody waits
            self._heard.put(error if not isinstance(error, httpx.HTTPError) else _end(error))
        finally:
            self._answer = None


def _events(answer: httpx.Response, hear: Callable[[None], None]) -> Iterator[ServerSentEvent]:
    if answer.status_code != 200:
        answer.read()
        raise over(answer)
    # httpx-sse keeps heartbeats to itself, but a stream without any is dead.
    noting = cast(httpx.Response, _Noting(answer, hear))
    yield from EventSource(noting).iter_sse()


class _Noting:
    """A response that says when bytes come."""

    def __init__(self, answer: httpx.Response, hear: Callable[[None], None]) -> None:
        self.headers = answer.headers
        self._answer = answer
        self._hear = hear

    def iter_text(self) -> Iterator[str]:
        for text in self._answer.iter_text():
            self._hear(None)
            yield text


def over(answer: httpx.Response) -> StreamEnd | RefusedError:
    """Of an answer, read, that is no stream and no release: whether it helps to come back."""
    if not may_pass(answer.status_code):
        return refusal(answer)
    after_s = retry_after_s(answer.headers.get("Retry-After"))
    return StreamEnd(str(refusal(answer)), answer.status_code, after_s)


def _end(error: httpx.HTTPError) -> StreamEnd:
    return StreamEnd(f"{type(error).__name__}: {error}")


def _shut(answer: httpx.Response) -> None:
    """Wake the thread that waits for bytes: closing the client alone does not."""
    stream = answer.extensions.get("network_stream")
    raw = stream.get_extra_info("socket") if stream is not None else None
    if raw is not None:
        try:
            raw.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
