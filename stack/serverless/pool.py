"""A function's execution environments, each of which handles one invocation at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from queue import Empty, SimpleQueue

import requests

from holdfast.errors import HoldfastError
from stack.serverless.answer import FunctionError
from stack.serverless.emulator import INVOKE


class ThrottledError(HoldfastError):
    """No environment became free in time: the function's concurrency is used up."""


class Pool:
    """Emulators, the last used first, as Lambda does it.

    timeout_s: what an invocation may take; the emulators have the same. patience_s: how long one
    waits for a free environment, in turn. Lambda doesn't wait at all, but starts as many
    environments as the function may have; here they are few, and a crowd needs a moment.
    """

    def __init__(self, urls: Sequence[str], timeout_s: float, patience_s: float) -> None:
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._idle = [_Environment(url, timeout_s) for url in reversed(urls)]
        self._waiting: deque[SimpleQueue[_Environment]] = deque()

    def invoke(self, event: bytes) -> bytes:
        """What the function returns for `event`. Raises ThrottledError, FunctionError."""
        environment = self._take()
        try:
            return environment.invoke(event)
        finally:
            self._give(environment)

    def _take(self) -> _Environment:
        # Not queue.LifoQueue: whoever comes may get ahead of who waits, again and again.
        with self._lock:
            if self._idle:
                return self._idle.pop()
            turn: SimpleQueue[_Environment] = SimpleQueue()
            self._waiting.append(turn)
        try:
            return turn.get(timeout=self._patience_s)
        except Empty:
            with self._lock:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                    raise ThrottledError from None
            return turn.get()  # it came this very moment

    def _give(self, environment: _Environment) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().put(environment)
            else:
                self._idle.append(environment)


class _Environment:
    # The emulator ends what takes too long; a second invocation before that would be its end.
    GRACE_S = 5.0

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url + INVOKE
        self._timeout = (1.0, timeout_s + self.GRACE_S)
        self._session = requests.Session()
        self._session.trust_env = False

    def invoke(self, event: bytes) -> bytes:
        try:
            answer = self._session.post(self._url, data=event, timeout=self._timeout)
        except requests.RequestException as error:
            raise FunctionError(f"the emulator: {error}") from error
        return answer.content
