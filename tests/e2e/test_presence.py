"""How many are watching: a live value that is right soon after joins, leaves and deaths."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.common.by import By

from stack.layout import REPO, Sizes
from stack.temporary import temporary_stack
from tests.browser import conftest as windows
from tests.e2e.metrics import metric
from tests.e2e.sockets import Socket
from tests.e2e.viewers import Viewer, answers, post, snapshot, until

open_window, wait = windows.open_window, windows.wait
SOON_S = 30.0  # seconds as a rule; the machine may be busy


@pytest.fixture(scope="module")
def stack():
    sizes = Sizes(publishers=2, pushpins=2)
    with temporary_stack(REPO / "values.toml", sizes=sizes) as stack:
        yield stack


def _until(stack, *counts):
    """Until `viewers` says so: pushpin-1, pushpin-2, websocket-1."""
    expected = {"total": sum(counts), "pushpins": list(counts)}
    seen = []

    def right():
        seen.append(snapshot(stack.url, "viewers")["value"])
        return seen[-1] == expected

    try:
        until(right, f"{expected}", SOON_S)
    except AssertionError as error:
        raise AssertionError(f"{error}; the last was {seen[-1]}") from None


def _pushpins(stack):
    ports = {status.name: status.ports for status in stack.status()}
    return [f"http://127.0.0.1:{ports[f'pushpin-{number}']['http']}" for number in (1, 2)]


def _long_poll(pushpin, name):
    """A poll that waits for the next release; whoever closes it leaves."""
    url = urlsplit(pushpin)
    poll = socket.create_connection((url.hostname, url.port), timeout=30)
    path = f"/values/{name}?after={snapshot(pushpin, name)['version']}&wait=120"
    poll.sendall(f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode())
    return poll


def test_joins_leaves_and_every_kind_of_listener_are_counted(stack):
    first, second = _pushpins(stack)
    _until(stack, 0, 0, 0)
    with ExitStack() as viewers:
        # Who watches `viewers` is a viewer, too, and changes nothing by being told.
        watcher = viewers.enter_context(Viewer(first, "/values/viewers?as=sse"))
        viewers.enter_context(Viewer(first, "/stream"))
        viewers.enter_context(Viewer(second, "/values/visits?as=ndjson"))
        viewers.enter_context(Socket(stack.url, "/values/counter"))
        _until(stack, 2, 1, 1)
        until(lambda: watcher.values[-1]["total"] == 4, "the number in a stream", SOON_S)
        poll = viewers.enter_context(_long_poll(second, "headline"))
        _until(stack, 2, 2, 1)
        poll.close()
        _until(stack, 2, 1, 1)
        until(lambda: watcher.values[-1]["total"] == 4, "the number in a stream", SOON_S)
        assert metric(stack.publisher_urls, "holdfast_viewers") == 4
        told = len(watcher.versions)
        # A release of another value makes nobody join or leave.
        visits = snapshot(stack.url, "visits")["value"]
        assert post(stack.url, "visits", {"add": 1}).status_code == 202
        until(lambda: snapshot(stack.url, "visits")["value"] == visits + 1, "a release", SOON_S)
        assert watcher.values[-1] == {"total": 4, "pushpins": [2, 1, 1]}
        assert len(watcher.versions) == told
        watcher.assert_increasing()
    _until(stack, 0, 0, 0)


def test_nobody_may_post_it(stack):
    assert post(stack.url, "viewers", {"set": {"total": 1_000_000}}).status_code == 422


def test_a_pushpin_that_is_killed_counts_0_and_counts_again_when_it_is_back(stack):
    first, second = _pushpins(stack)
    with Viewer(first, "/values/counter?as=sse"), Viewer(second, "/values/counter?as=sse"):
        _until(stack, 1, 1, 0)
        os.killpg(os.getpgid(stack.pid("pushpin-2")), signal.SIGKILL)
        _until(stack, 1, 0, 0)
        until(lambda: answers(f"{second}/values/counter"), "a new Pushpin", 60)
        with Viewer(second, "/values/counter?as=sse"):
            _until(stack, 1, 1, 0)
    _until(stack, 0, 0, 0)


def test_the_page_shows_how_many_are_watching_and_counts_once_itself(stack, open_window, wait):
    def says(text):
        return lambda driver: driver.find_element(By.ID, "watching").text == text

    driver = open_window(stack.url)
    wait(driver, says("1 watching"), "the page itself")
    with Viewer(stack.url, "/values/counter?as=sse"):
        wait(driver, says("2 watching"), "another viewer")


def test_another_publisher_takes_over_with_the_right_number(stack):
    first, second = _pushpins(stack)
    with ExitStack() as viewers:
        viewers.enter_context(Viewer(first, "/values/counter?as=sse"))
        _until(stack, 1, 0, 0)
        (leader,) = [
            name
            for name, url in zip(("publisher-1", "publisher-2"), stack.publisher_urls, strict=True)
            if metric([url], "holdfast_viewers") > 0
        ]
        pid = stack.pid(leader)
        os.kill(pid, signal.SIGSTOP)
        try:
            viewers.enter_context(Viewer(second, "/values/counter?as=sse"))
            _until(stack, 1, 1, 0)
        finally:
            os.kill(pid, signal.SIGCONT)
        viewers.enter_context(Viewer(second, "/values/counter?as=sse"))
        _until(stack, 1, 2, 0)
