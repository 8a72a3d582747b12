"""Every way to listen shows the same: versions that increase, and in the end the same one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

import pytest

from stack.stack import Stack
from tests.e2e.hook_listener import HookListener
from tests.e2e.pollers import Poller
from tests.e2e.sockets import SocketListener
from tests.e2e.viewers import Viewer, answers, post, snapshot, until

NAME = "visits"
UPDATES = 1_000
OF_EACH = 3


class Listener(Protocol):
    """Watches one value until it is closed, and comes back by itself when a connection breaks."""

    failures: list[str]

    def start(self) -> Any: ...
    def close(self) -> None: ...
    def wait_connected(self) -> Any: ...
    def assert_increasing(self) -> None: ...
    @property
    def versions(self) -> list[int]: ...
    @property
    def values(self) -> list[Any]: ...


# A transport more is a line more.
LISTENERS: dict[str, Callable[[Stack], Listener]] = {
    "sse": lambda stack: Viewer(stack.url, f"/values/{NAME}?as=sse", reconnect=True),
    "ndjson": lambda stack: Viewer(stack.url, f"/values/{NAME}?as=ndjson", reconnect=True),
    "long-poll": lambda stack: Poller(stack.url, NAME, reconnect=True),
    "websocket": lambda stack: SocketListener(stack.url, NAME),
    "webhook": lambda stack: HookListener(stack, NAME),
}
HELD = set(LISTENERS) - {"webhook"}  # by Pushpin


@pytest.fixture(autouse=True)
def fast(stack):
    """Many releases, so that listeners have something to mix up."""
    stack.desk.call("PUT", f"values/{NAME}/rate", {"rate": 50, "burst": 50}, etag="*")
    yield
    stack.desk.call("DELETE", f"values/{NAME}/rate", etag="*")


@contextmanager
def _listening(stack) -> Iterator[list[tuple[str, Listener]]]:
    """Some listeners of each transport, by its name, who have all got the value."""
    listeners = [
        (transport, listen(stack))
        for transport, listen in LISTENERS.items()
        for _ in range(OF_EACH)
    ]
    try:
        for _, listener in listeners:
            listener.start()
        for _, listener in listeners:
            listener.wait_connected()
        yield listeners
    finally:
        for _, listener in listeners:
            listener.close()


def _post(stack, count: int) -> None:
    with ThreadPoolExecutor(20) as pool:
        statuses = list(
            pool.map(lambda _: post(stack.url, NAME, {"add": 1}).status_code, range(count))
        )
    assert statuses == [202] * count


def _all_end_at(stack, listeners: Sequence[tuple[str, Listener]], value: int) -> None:
    """The same version of the same value, and nobody went back on the way to it."""
    began = time.monotonic()
    newest = until(
        lambda: (found := snapshot(stack.url, NAME))["value"] == value and found,
        "the last release",
        30,
    )
    for transport, listener in listeners:
        until(
            lambda each=listener: each.versions and each.versions[-1] == newest["version"],
            f"the last version, {newest['version']}, by {transport}",
            30,
        )
        assert listener.values[-1] == value
        listener.assert_increasing()
    seen = {transport: len(listener.versions) for transport, listener in listeners}
    print(f"all at the last version after {time.monotonic() - began:.2f} s; versions seen: {seen}")


def test_a_thousand_updates_end_at_one_version_on_every_transport(stack):
    value = snapshot(stack.url, NAME)["value"]
    with _listening(stack) as listeners:
        _post(stack, UPDATES)
        _all_end_at(stack, listeners, value + UPDATES)
        for transport, listener in listeners:
            assert listener.failures == [], transport
            # By what is sent to it, not by what a confirm makes up for 3 s later.
            assert len(listener.versions) >= 10, transport


def test_so_they_do_when_pushpin_is_killed_in_the_middle(stack):
    value = snapshot(stack.url, NAME)["value"]
    with _listening(stack) as listeners:
        _post(stack, UPDATES // 2)
        for part in ("pushpin-1", "websocket-1"):
            os.kill(stack.pid(part), signal.SIGKILL)
        for transport, listener in (each for each in listeners if each[0] in HELD):
            until(lambda each=listener: each.failures, f"a broken connection by {transport}")
        _post(stack, UPDATES // 4)
        until(lambda: answers(f"{stack.pushpin_url}/values/{NAME}"), "Pushpin's return", 60)
        _post(stack, UPDATES // 4)
        _all_end_at(stack, listeners, value + UPDATES)
