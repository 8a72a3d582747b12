"""Watching one value for ever: a stream, long-polls where streams don't come through.

The same rules as the page's client (docs/client.md, "What it does by itself"), one after the other
instead of side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from enum import StrEnum

import httpx

from holdfast.client.backoff import Backoff
from holdfast.client.errors import may_pass
from holdfast.client.release import Release
from holdfast.client.stream import Stream, StreamEnd, over

FIRST_S = 4.0  # a stream whose first byte takes longer may be gathered on its way
SECOND_S = 25.0  # a heartbeat and some more: else only its beginning got through
SILENCE_S = 45.0
STRIKES = 4
WAIT_S = 25


class State(StrEnum):
    """CONNECTING: nothing is known yet. LIVE: what came last is the newest. STALE: it was."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"


class Watch:
    """An iterator of releases that never ends by itself; RefusedError where there is no value.

    version: of what came last, -1 = nothing. `on_state` is called when the state changes.
    """

    def __init__(
        self,
        client: httpx.Client,
        url: str,
        on_state: Callable[[State], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.version = -1
        self.state = State.CONNECTING
        self._client = client
        self._url = url
        self._on_state = on_state
        self._sleep = sleep
        self._strikes = 0
        self._quick = Backoff()
        # Where polls work and streams don't, a stream is tried again after that long.
        self._slow = Backoff(5.0, 600.0)
        self._releases = self._watch()

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> Release:
        return next(self._releases)

    def close(self) -> None:
        """Let go of the connection."""
        self._releases.close()

    def _watch(self) -> Generator[Release]:
        while True:
            after_s = yield from self._stream()
            if self._strikes >= STRIKES:
                yield from self._poll(time.monotonic() + self._slow.next_s())
                # One more that does not come through, and it is polls again.
                self._strikes = STRIKES - 1
            else:
                self._is(State.STALE)
                self._sleep(self._quick.next_s(after_s))

    # -- a stream

    def _stream(self) -> Generator[Release, None, float]:
        """Until it is over. Returns after how long the server wants to be asked again, s."""
        stream = Stream(self._client, self._url, self._parameters(**{"as": "sse"}))
        began = time.monotonic()
        patience_s, proven = FIRST_S, False
        try:
            while True:
                event = stream.next(patience_s)
                # What comes later than the beginning was not gathered with it.
                proven = proven or (patience_s != FIRST_S and time.monotonic() - began > 1.0)
                if proven:
                    self._strikes = 0
                    self._quick.reset()
                    self._slow.reset()
                patience_s = SILENCE_S if proven else SECOND_S
                if event is not None:
                    yield from self._take(event.event, event.data)
                self._is(State.LIVE)
        except TimeoutError:
            self._strikes += 0 if proven else STRIKES
        except StreamEnd as end:
            # A server that is away says little about streams.
            away = patience_s == FIRST_S and (end.status == 0 or may_pass(end.status))
            self._strikes += 0 if proven else 1 if away else 2
            return end.retry_after_s
        finally:
            stream.close()
        return 0.0

    def _take(self, event: str, data: str) -> Iterator[Release]:
        if event == "reset":
            self.version = -1  # what was seen leads to nothing
        elif event == "message" and data:
            try:
                release = Release.parse(data)
            except ValueError as error:
                raise StreamEnd(str(error)) from error
            yield from self._newer(release)

    def _newer(self, release: Release) -> Iterator[Release]:
        if release.version > self.version:
            self.version = release.version
            yield release

    # -- long-polls

    def _poll(self, until: float) -> Iterator[Release]:
        """Long-polls until that moment."""
        backoff = Backoff()
        while True:
            try:
                release = self._ask()
            except StreamEnd as end:
                self._is(State.STALE)
                self._sleep(backoff.next_s(end.retry_after_s))
            else:
                backoff.reset()
                self._is(State.LIVE)
                if release is not None:
                    # Lower, and at once: what was seen is none of the server's versions.
                    if release.version < self.version:
                        self.version = -1
                    yield from self._newer(release)
            if time.monotonic() >= until:
                return

    def _ask(self) -> Release | None:
        """The next release, None: there was none in time. Raises StreamEnd, RefusedError."""
        timeout = httpx.Timeout(10.0, read=WAIT_S + 15.0)
        try:
            answer = self._client.get(
                self._url, params=self._parameters(wait=str(WAIT_S)), timeout=timeout
            )
            if answer.status_code == 204:
                return None
            if answer.status_code == 200:
                return Release.parse(answer.text)
        except (httpx.HTTPError, ValueError) as error:
            raise StreamEnd(f"{type(error).__name__}: {error}") from error
        raise over(answer)

    def _parameters(self, **parameters: str) -> dict[str, str]:
        return {**parameters, **({"after": str(self.version)} if self.version >= 0 else {})}

    def _is(self, state: State) -> None:
        if self.state is State.CONNECTING and state is State.STALE and self.version < 0:
            return
        if state is not self.state:
            self.state = state
            if self._on_state is not None:
                self._on_state(state)
