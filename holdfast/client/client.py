"""A client of one service."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx

from holdfast.client.backoff import Backoff, retry_after_s
from holdfast.client.errors import UnansweredError, may_pass, refusal
from holdfast.client.release import Accepted, Release
from holdfast.client.watch import State, Watch


class Client:
    """Reads, watches and changes the values of the service at `url`, its front door.

    One for many values and threads. token: for values that are private or not open to all
    (docs/access.md). options: for httpx.Client, such as `verify`. Raises ValueError.
    """

    def __init__(self, url: str, *, token: str | None = None, **options: Any) -> None:
        try:
            well = httpx.URL(url).scheme in ("http", "https") and bool(httpx.URL(url).host)
        except httpx.InvalidURL:
            well = False
        if not well:
            raise ValueError(f"{url} is no http:// or https:// URL")
        self._url = url.rstrip("/")
        self._client = httpx.Client(**options)
        if token is not None:
            self._client.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def get(self, name: str, timeout_s: float = 10.0) -> Release:
        """The newest release. Raises RefusedError, UnansweredError."""
        return Release.parse(self._call("GET", name, timeout_s).text)

    def add(
        self, name: str, number: float, *, key: str | None = None, timeout_s: float = 30.0
    ) -> Accepted:
        """Add to a value that is a sum. See `update`."""
        return self.update(name, {"add": number}, key=key, timeout_s=timeout_s)

    def set(
        self, name: str, value: Any, *, key: str | None = None, timeout_s: float = 30.0
    ) -> Accepted:
        """Replace a value that is the latest. See `update`."""
        return self.update(name, {"set": value}, key=key, timeout_s=timeout_s)

    def update(
        self, name: str, update: dict[str, Any], *, key: str | None = None, timeout_s: float = 30.0
    ) -> Accepted:
        """Send one update until it is taken; it counts once, however often it was sent.

        key: of the update, 1 to 255 visible ASCII characters; the same one again, within 24 hours,
        changes nothing. Raises RefusedError, UnansweredError after timeout_s, ValueError for what
        is no JSON.
        """
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        answer = self._call("POST", name, timeout_s, json=update, headers=headers)
        found = answer.json()
        return Accepted(found["name"], found["topic"], found["partition"], found["offset"])

    def watch(self, name: str, on_state: Callable[[State], None] | None = None) -> Watch:
        """Every release from the newest on, for ever; some may be skipped.

        It comes back from whatever happens, resumes by version, and takes long-polls where streams
        don't come through. Raises RefusedError where no attempt can help: no such value, no access.
        """
        return Watch(self._client, self._path(name), on_state)

    def _path(self, name: str) -> str:
        return f"{self._url}/values/{quote(name, safe='')}"

    def _call(self, method: str, name: str, timeout_s: float, **request: Any) -> httpx.Response:
        """Again and again while that may help, until timeout_s."""
        deadline = time.monotonic() + timeout_s
        backoff = Backoff()
        while True:
            after_s = 0.0
            try:
                left_s = max(deadline - time.monotonic(), 0.1)
                answer = self._client.request(
                    method, self._path(name), timeout=min(10.0, left_s), **request
                )
                if answer.is_success:
                    return answer
                fault = refusal(answer)
                if not may_pass(answer.status_code):
                    raise fault
                why = str(fault)
                after_s = retry_after_s(answer.headers.get("Retry-After"))
            except httpx.HTTPError as error:
                why = f"{self._url} can't be asked: {error or type(error).__name__}"
            pause_s = backoff.next_s(after_s)
            if time.monotonic() + pause_s >= deadline:
                raise UnansweredError(why)
            time.sleep(pause_s)
