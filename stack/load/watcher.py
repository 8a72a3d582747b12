"""One process of a crowd: thousands of raw sockets on one epoll, so that viewers cost little."""

from __future__ import annotations

import errno
import heapq
import random
import re
import resource
import select
import socket
import time
from array import array
from collections import Counter
from multiprocessing.connection import Connection

from stack.load.answer import Answer
from stack.load.report import Arrivals, Report

# Holdfast's snapshot, in whatever carries it.
_SNAPSHOT = re.compile(rb'"value":(-?\d+),"version":(\d+),"prev":(\d+)')
_MOST_BYTES = 262_144


class _Viewer:
    __slots__ = ("answer", "asked_at", "rest", "shown_at", "socket", "value", "version")

    def __init__(self, own: socket.socket, asked_at: float) -> None:
        self.socket = own
        self.asked_at = asked_at
        self.answer: Answer | None = None  # None: not connected yet
        self.rest = b""
        self.version = -1
        self.value = 0
        self.shown_at = 0.0


class Watcher:
    """Viewers of one address. once: they leave with the first snapshot, as readers do.

    socket: `request` is the handshake of a WebSocket.
    """

    def __init__(
        self,
        pipe: Connection,
        address: tuple[str, int],
        request: bytes,
        once: bool,
        socket: bool,
    ):
        self._pipe = pipe
        self._address = address
        self._request = request
        self._once = once
        self._socket = socket
        self._epoll = select.epoll()
        self._viewers: dict[int, _Viewer] = {}
        self._leaving: list[tuple[float, int, _Viewer]] = []
        self._arrivals = self._stay_s = 0.0
        self._next_arrival = float("inf")
        self._count = 0
        self._report = Report()
        self._cpu_at_mark = time.process_time()

    def run(self) -> None:
        """Until told to end, or until the other end of the pipe is gone."""
        control = self._pipe.fileno()
        self._epoll.register(control, select.EPOLLIN)
        while True:
            for number, _ in self._epoll.poll(self._pause_s(), 1000):
                if number != control:
                    self._turn(number)
                elif not self._obey():
                    return
            self._come_and_go()

    def _pause_s(self) -> float:
        due = self._next_arrival
        if self._leaving:
            due = min(due, self._leaving[0][0])
        return min(1.0, max(0.0, due - time.time()))

    def _obey(self) -> bool:
        try:
            word, *arguments = self._pipe.recv()
        except EOFError:
            return False
        if word == "connect":
            for _ in range(arguments[0]):
                self._connect()
        elif word == "flow":
            self._arrivals, self._stay_s = arguments
            self._next_arrival = time.time() if self._arrivals else float("inf")
        elif word == "mark":
            self._mark()
        elif word == "deliveries":
            self._pipe.send(self._report.deliveries)
        elif word == "report":
            self._pipe.send(self._finished_report())
        else:
            return False
        return True

    # -- coming and going

    def _come_and_go(self) -> None:
        now = time.time()
        while now >= self._next_arrival:
            self._next_arrival += random.expovariate(self._arrivals)
            viewer = self._connect()
            if viewer is not None and not self._once:
                heapq.heappush(self._leaving, (now + self._stay_s, self._count, viewer))
        while self._leaving and self._leaving[0][0] <= now:
            viewer = heapq.heappop(self._leaving)[2]
            if self._viewers.get(viewer.socket.fileno()) is viewer:
                if viewer.version < 0:
                    self._report.failed["left without an event"] += 1
                self._leave(viewer)

    def _connect(self) -> _Viewer | None:
        self._report.asked += 1
        self._count += 1
        own = socket.socket()
        own.setblocking(False)
        problem = own.connect_ex(self._address)
        if problem not in (0, errno.EINPROGRESS):
            self._report.failed[errno.errorcode.get(problem, str(problem))] += 1
            own.close()
            return None
        viewer = _Viewer(own, time.time())
        self._viewers[own.fileno()] = viewer
        self._epoll.register(own.fileno(), select.EPOLLOUT)
        return viewer

    def _leave(self, viewer: _Viewer) -> None:
        self._note_shown(viewer, time.time())
        del self._viewers[viewer.socket.fileno()]
        viewer.socket.close()

    def _fail(self, viewer: _Viewer, reason: str) -> None:
        if viewer.version < 0:
            self._report.failed[reason] += 1
        else:
            self._report.lost += 1
        self._leave(viewer)

    # -- what comes

    def _turn(self, number: int) -> None:
        viewer = self._viewers.get(number)
        if viewer is None:  # it left within this round
            return
        try:
            if viewer.answer is None:
                viewer.socket.send(self._request)
                viewer.answer = Answer()
                self._epoll.modify(number, select.EPOLLIN)
                return
            data = viewer.socket.recv(_MOST_BYTES)
            if not data:
                self._fail(viewer, "closed")
                return
            self._take(viewer, viewer.answer, data)
        except BlockingIOError:
            return
        except (OSError, ValueError) as error:
            self._fail(viewer, getattr(error, "strerror", None) or str(error))

    def _take(self, viewer: _Viewer, answer: Answer, data: bytes) -> None:
        body = answer.feed(data)
        if answer.status not in (0, 101 if self._socket else 200):
            self._fail(viewer, f"status {answer.status}")
            return
        if viewer.rest:
            body = viewer.rest + body
        # An event ends with a blank line, a message with a brace; then another begins.
        if self._socket:
            end = body.rfind(b"}") + 1
        else:
            end = len(body) if self._once else body.rfind(b"\n\n") + 2
        viewer.rest = body[end:] if end > 1 else body
        if end > 1:
            for found in _SNAPSHOT.finditer(body, 0, end):
                self._show(viewer, int(found[1]), int(found[2]), int(found[3]))
        if self._once and (answer.ended or viewer.version >= 0):
            if viewer.version < 0:
                self._report.failed["no snapshot"] += 1
            self._leave(viewer)
        elif answer.ended:
            self._fail(viewer, "ended")

    def _show(self, viewer: _Viewer, value: int, version: int, prev: int) -> None:
        now, report = time.time(), self._report
        if self._socket and version == viewer.version:
            return  # a confirm
        if viewer.version < 0:
            report.ready += 1
            report.first_ready = report.first_ready or now
            report.last_ready = now
            report.until_first_event.append(now - viewer.asked_at)
        else:
            report.deliveries += 1
            if version <= viewer.version:
                report.went_back += 1
            elif prev != viewer.version:
                report.gaps += 1
            seen = report.releases.get(version)
            if seen is None:
                report.releases[version] = Arrivals(1, now, now)
            else:
                seen.count += 1
                seen.last = now
            self._note_shown(viewer, now)
        viewer.version, viewer.value, viewer.shown_at = version, value, now

    def _note_shown(self, viewer: _Viewer, until: float) -> None:
        if viewer.version >= 0 and not self._once:
            self._report.shown_value.append(viewer.value)
            self._report.shown_from.append(viewer.shown_at)
            self._report.shown_until.append(until)

    # -- telling

    def _mark(self) -> None:
        self._report = Report()
        self._cpu_at_mark = time.process_time()
        now = time.time()
        for viewer in self._viewers.values():
            viewer.shown_at = now

    def _finished_report(self) -> Report:
        report, now = self._report, time.time()
        # What is on the screens now counts up to now, and goes on.
        extra_value, extra_from = array("q"), array("d")
        for viewer in self._viewers.values():
            if viewer.version >= 0 and not self._once:
                extra_value.append(viewer.value)
                extra_from.append(viewer.shown_at)
        screens = Counter(v.version for v in self._viewers.values() if v.version >= 0)
        whole = Report()
        whole.add(report)
        whole.shown_value.extend(extra_value)
        whole.shown_from.extend(extra_from)
        whole.shown_until.extend(array("d", [now]) * len(extra_value))
        whole.screens, whole.holding = screens, len(self._viewers)
        whole.cpu_s = time.process_time() - self._cpu_at_mark
        return whole


def watch(
    pipe: Connection, address: tuple[str, int], request: bytes, once: bool, socket: bool
) -> None:
    """The process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    Watcher(pipe, address, request, once, socket).run()
