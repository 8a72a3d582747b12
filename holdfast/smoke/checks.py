"""What is looked at, in order."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise

from holdfast.smoke.report import Report
from holdfast.smoke.site import Site, SmokeError, Stream
from holdfast.smoke.websocket import WebSocket

CLOSED = (
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("POST", "/service/holdfast/purge_all"),
    ("POST", "/purge/localhost/"),
)
# After the origins are back: the edge asks once a second, publishers hint every 2 s.
BACK_S = 60.0
MOST_ASKS = 10


class Smoke:
    """name: the default value, a sum that nobody else takes from meanwhile.

    viewers: held at once, to reach every Pushpin. What is added is taken off again in the end.
    """

    def __init__(self, site: Site, report: Report, name: str, viewers: int) -> None:
        self._site, self._report, self._name, self._count = site, report, name, viewers
        self._added = 0
        self._open = ExitStack()
        self._viewers: list[Stream] = []
        self._text: Stream | None = None
        self._websocket: WebSocket | None = None

    def run(self, hold_s: float, stop_origin: Sequence[str], start_origin: Sequence[str]) -> None:
        """hold_s: for so long streams must live. stop_origin, start_origin: commands; () = none."""
        with self._open:
            self._door()
            self._update("an update")
            self._cached()
            if hold_s:
                self._long(hold_s)
            if stop_origin:
                self._without_origin(stop_origin, start_origin)
            self._restore()

    def _door(self) -> None:
        name, check = self._name, self._report.check
        with check("GET / is the page"):
            page = self._site.ask("/")
            if page.status != 200 or b"<html" not in page.body.lower():
                raise SmokeError(f"status {page.status}, or no HTML")
        with check(f"GET /values/{name} is a snapshot"):
            self._site.snapshot(name)
        for method, path in CLOSED:
            with check(f"{method} {path} is not for the public"):
                status = self._site.ask(path, method).status
                if status != 404:
                    raise SmokeError(f"status {status} instead of 404")
        with check(f"{self._count} viewers are held (SSE)"):
            for _ in range(self._count):
                self._viewers.append(self._viewer())
            for viewer in self._viewers:
                viewer.until(lambda: bool(viewer.versions), "a first event")  # noqa: B023
        with check("/stream is held"):
            self._text = self._open.enter_context(self._site.hold("/stream"))
            self._text.until(lambda: "data" in self._stream.newest, "a first line")

        with check("a WebSocket is open"):
            websocket = WebSocket(self._site, name)
            self._open.callback(websocket.close)
            websocket.until(lambda: "value" in websocket.newest, "a first message")
            self._websocket = websocket

    @property
    def _stream(self) -> Stream:
        if self._text is None:
            raise SmokeError("it is not held")
        return self._text

    def _viewer(self) -> Stream:
        headers = {"Accept": "text/event-stream"}
        return self._open.enter_context(self._site.hold(f"/values/{self._name}", headers))

    def _update(self, what: str) -> None:
        """Add 1; everybody who is held must see it."""
        before = max((viewer.newest["value"] for viewer in self._viewers), default=0)
        with self._report.check(f"POST: {what} is acknowledged"):
            self._add(1)
        with self._report.check(f"all {self._count} viewers see it, in order"):
            if not self._viewers:
                raise SmokeError("nobody is held")
            for viewer in self._viewers:
                self._see(viewer, before + 1)
        with self._report.check("/stream shows it"):
            stream = self._stream
            stream.until(lambda: stream.newest["data"] > before, f"a value above {before}")

        with self._report.check("the WebSocket shows it"):
            websocket = self._websocket
            if websocket is None:
                raise SmokeError("it is not open")
            websocket.until(lambda: websocket.newest["value"] > before, f"a value above {before}")

    def _see(self, viewer: Stream, value: int) -> None:
        viewer.until(lambda: viewer.newest["value"] >= value, f"the value {value}")
        if not all(a < b for a, b in pairwise(viewer.versions)):
            raise SmokeError(f"versions are not increasing: {viewer.versions}")

    def _add(self, number: int) -> None:
        answer = self._site.add(self._name, number)
        if answer.status != 202:
            raise SmokeError(f"status {answer.status} instead of 202: {answer.body[:120]!r}")
        self._added += number

    def _newest(self) -> int:
        return max((version for viewer in self._viewers for version in viewer.versions), default=0)

    def _cached(self) -> None:
        newest = self._newest()
        with self._report.check("the snapshot was purged, and shows it"):
            version = self._site.snapshot(self._name)["version"]
            if version < newest:
                raise SmokeError(f"version {version} instead of {newest} or newer")
        with self._report.check("a new viewer begins with it"):
            viewer = self._viewer()
            viewer.until(lambda: bool(viewer.versions), "a first event")
            if viewer.versions[0] < newest:
                raise SmokeError(f"version {viewer.versions[0]} instead of {newest} or newer")
        with self._report.check("asked again, it comes from the cache"):
            for _ in range(MOST_ASKS):
                answer = self._site.ask(f"/values/{self._name}")
                if "HIT" in answer.headers.get("x-cache", ""):
                    return
            raise SmokeError(f"no X-Cache: HIT in {MOST_ASKS} answers; Age {answer.headers['age']}")

    def _long(self, hold_s: float) -> None:
        with self._report.check(f"streams live for {hold_s:g} s, and say so (a comment)"):
            started = time.monotonic()
            for viewer in self._viewers:
                comments = viewer.comments
                viewer.until(lambda: viewer.comments > comments, "a comment", hold_s)  # noqa: B023
            time.sleep(max(0.0, hold_s - (time.monotonic() - started)))
        self._update("one more")

    def _without_origin(self, stop: Sequence[str], start: Sequence[str]) -> None:
        """The last update is not fetched before: what the edge keeps is older, and was purged."""
        check = self._report.check
        self._update("an update before the origins stop")
        newest, late = self._newest(), list[Stream]()
        with check("the origins are stopped"):
            self._command(stop)
        try:
            with check("no origin: the snapshot is the last that was cached"):
                self._site.snapshot(self._name)
            with check(f"no origin: {self._count} new viewers are held"):
                for _ in range(self._count):
                    late.append(self._viewer())
                    viewer = late[-1]
                    viewer.until(lambda: bool(viewer.versions), "a first event")  # noqa: B023
            with check("no origin: an update is refused with Retry-After"):
                answer = self._site.add(self._name, 0)
                if answer.status != 503 or "retry-after" not in answer.headers:
                    raise SmokeError(f"status {answer.status} instead of 503, or no Retry-After")
        finally:
            with check("the origins are started"):
                self._command(start)
        with check("they all get the newest value, without another update"):
            for viewer in late:
                viewer.until(
                    lambda: viewer.versions[-1] >= newest,  # noqa: B023
                    f"version {newest}",
                    BACK_S,
                )
        self._viewers += late
        with check("updates are taken again"):
            deadline = time.monotonic() + BACK_S
            while self._site.add(self._name, 0).status != 202:
                if time.monotonic() > deadline:
                    raise SmokeError(f"not within {BACK_S:g} s")
                time.sleep(0.5)
        self._count = len(self._viewers)
        self._update("an update after that")

    def _command(self, command: Sequence[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SmokeError(f"{' '.join(command)}: {done.stderr.strip()[-200:]}")

    def _restore(self) -> None:
        if not self._added:
            return
        with self._report.check(f"what was added ({self._added}) is taken off again"):
            self._add(-self._added)
