"""One Varnish and one Pushpin of two are sick, or not known yet: nobody at the others notices, and
they get what they missed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

import pytest

from publisher.patience import LEAST_S
from stack.layout import Sizes
from stack.temporary import temporary_stack
from tests.conftest import VALUES
from tests.e2e.metrics import metric
from tests.e2e.names import PublisherByName
from tests.e2e.viewers import Viewer, post, snapshot, until

SICK = ("varnish-2", "pushpin-2")
PATH = "/values/visits?as=sse"
POSTS = 15
SLOWER_S = 0.2  # at most, in the middle: single ones may meet a busy machine


@pytest.fixture(scope="module")
def stack():
    with temporary_stack(VALUES, sizes=Sizes(varnishes=2, pushpins=2)) as stack:
        stack.desk.call("PUT", "values/visits/rate", {"rate": 1000, "burst": 1000}, etag="*")
        yield stack


@contextmanager
def _refusing(stack) -> Iterator[None]:
    """They are down: connections are refused, caches and viewers gone."""
    for part in SICK:
        stack.stop_part(part)
    try:
        yield
    finally:
        for part in SICK:
            stack.start_part(part)


@contextmanager
def _silent(stack) -> Iterator[None]:
    """They accept and never answer: caches and viewers stay."""
    processes = [pid for part in SICK for pid in _tree(stack.pid(part))]
    try:
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)


def _tree(pid: int) -> list[int]:
    """A process and all that it started: Varnish's worker is not in its manager's group."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _tree(int(child)))]


@contextmanager
def _failing(stack) -> Iterator[None]:
    """They answer 500. Varnish keeps its cache; in Pushpin's place there is another server."""
    folder = stack.dir / "varnish-2"
    text = (folder / "default.vcl").read_text()
    refusing = 'sub vcl_recv { if (req.url ~ "^/service/") { return (synth(500)); } }\ninclude "'
    (folder / "failing.vcl").write_text(text.replace('include "', refusing))
    admin = ["varnishadm", "-n", str(folder / "work")]
    port = _ports(stack, "pushpin-2")["publish"]
    for words in (("vcl.load", "failing", str(folder / "failing.vcl")), ("vcl.use", "failing")):
        subprocess.run([*admin, *words], check=True, capture_output=True)
    stack.stop_part("pushpin-2")
    try:
        with _Server500(("127.0.0.1", port), _Answer500) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield
            server.shutdown()
    finally:
        subprocess.run([*admin, "vcl.use", "boot"], check=True, capture_output=True)
        stack.start_part("pushpin-2")


class _Server500(ThreadingHTTPServer):
    daemon_threads = True


class _Answer500(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(500)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def test_nodes_that_join_by_name_get_what_they_missed(stack):
    pushpins = [f"http://127.0.0.1:{_ports(stack, f'pushpin-{n}')['http']}" for n in (1, 2)]
    edges = stack.varnish_urls
    with Viewer(pushpins[0], PATH) as known, Viewer(pushpins[1], PATH) as unknown:
        for viewer in (known, unknown):
            viewer.wait_connected()
        # Pushpin asks again a second after a channel's first viewer came: let that be over.
        _seconds(stack, known)
        before = known.values[-1]
        until(lambda: unknown.values[-1] == before, "a release before all this")
        with PublisherByName(stack) as publisher:
            until(lambda: snapshot(edges[1], "visits")["value"] == before, "a filled cache")
            _seconds(stack, known)
            released = time.monotonic()
            assert unknown.values[-1] == snapshot(edges[1], "visits")["value"] == before
            until(lambda: time.monotonic() > released + 7, "the confirms at 3 and 6 s")
            assert unknown.values[-1] == snapshot(edges[1], "visits")["value"] == before

            publisher.joined()
            until(lambda: unknown.values[-1] == before + 1, "the truth at the new Pushpin")
            until(lambda: snapshot(edges[1], "visits")["value"] == before + 1, "a purge of all")

            publisher.names_fail()
            _seconds(stack, known)
            until(lambda: unknown.values[-1] == before + 2, "all nodes, although DNS is away")
            assert [snapshot(edge, "visits")["value"] for edge in edges] == [before + 2] * 2
        for viewer in (known, unknown):
            viewer.assert_increasing()
            assert viewer.resets == 0
            assert viewer.failures == []


@pytest.mark.parametrize("sick", [_refusing, _silent, _failing])
def test_sick_nodes_slow_nobody_else_down_and_get_what_they_missed(stack, sick):
    pushpins = [f"http://127.0.0.1:{_ports(stack, f'pushpin-{n}')['http']}" for n in (1, 2)]
    edge = stack.varnish_urls[1]
    control = f"http://127.0.0.1:{_ports(stack, 'pushpin-2')['publish']}"
    with (
        Viewer(pushpins[0], PATH) as viewer,
        Viewer(pushpins[1], PATH, reconnect=True) as unlucky,
    ):
        for each in (viewer, unlucky):
            each.wait_connected()
        undisturbed = median(_seconds(stack, viewer) for _ in range(POSTS))
        until(lambda: snapshot(edge, "visits")["value"] == viewer.values[-1], "a filled cache")
        failed = _purges(stack, edge, "failed")

        with sick(stack):
            noticing = [_seconds(stack, viewer) for _ in range(5)]
            while _owed(stack, edge) + _owed(stack, control) < 2:
                noticing.append(_seconds(stack, viewer))
            known = []
            while len(known) < POSTS or _purges(stack, edge, "failed") < failed + 3:
                known.append(_seconds(stack, viewer))  # the second and third are retries
        print(f"undisturbed: {undisturbed * 1e3:.0f} ms; until both are known to be sick: ", end="")
        print(*(f"{seconds * 1e3:.0f}" for seconds in noticing), end="; then ")
        print(f"{median(known) * 1e3:.0f}, at most {max(known) * 1e3:.0f}, {len(known)} times")
        # A node that falls silent costs a release or two its patience, and nothing later.
        assert median(noticing) < undisturbed + SLOWER_S
        assert max(noticing) < undisturbed + 2 * LEAST_S + SLOWER_S
        assert median(known) < undisturbed + SLOWER_S

        until(lambda: _owed(stack, edge) + _owed(stack, control) == 0, "debts paid", 30)
        value = viewer.values[-1]
        for _ in range(20):
            assert snapshot(edge, "visits")["value"] == value
        until(lambda: unlucky.values[-1] == value, "the truth at the sick Pushpin's viewer")
        _seconds(stack, viewer)
        until(lambda: unlucky.values[-1] == value + 1, "and the next release")
        for each in (viewer, unlucky):
            each.assert_increasing()
            assert each.resets == 0
        assert snapshot(edge, "visits")["value"] == value + 1
        assert viewer.failures == []


def _seconds(stack, viewer: Viewer) -> float:
    """From a POST to its release at the viewer."""
    wanted = viewer.values[-1] + 1
    started = time.monotonic()
    # At the origin itself: the way there is not what this is about.
    assert post(stack.origin_urls[0], "visits", {"add": 1}).status_code == 202
    until(lambda: viewer.values[-1] == wanted, "the release")
    return viewer.events[-1][0] - started


def _ports(stack, part: str) -> dict[str, int]:
    return next(status.ports for status in stack.status() if status.name == part)


def _owed(stack, url: str) -> float:
    return metric(stack.publisher_urls, "holdfast_node_owed", node=url)


def _purges(stack, url: str, result: str) -> float:
    return metric(stack.publisher_urls, "holdfast_purges_total", node=url, result=result)
