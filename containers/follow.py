"""Runs one part, and tells it whenever its peers change."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from containers.peers import Addresses, Peers

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Stop:
    """How a part is asked to end: a signal, and how long it may take before the next one, s."""

    signal: int
    within_s: float


class Part(Protocol):
    """What is run. peers: by kind, each with somebody in it."""

    @property
    def command(self) -> Sequence[str]: ...

    @property
    def stops(self) -> Sequence[Stop]: ...

    @property
    def beside(self) -> Sequence[Sequence[str]]:
        """Commands of helpers, which run as long as it does and are started again if they end."""

    def write(self, peers: Mapping[str, Addresses]) -> None:
        """Write the part's configuration. Raises OSError."""

    def tell(self, process: subprocess.Popen[bytes]) -> None:
        """Let it read that again. Raises OSError or SubprocessError when it did not."""


class _Helper:
    """A process beside the part: nothing that anybody waits for."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process = subprocess.Popen(command)

    def look(self) -> None:
        """Start it again if it ended."""
        if self._process.poll() is not None:
            log.warning("%s ended with %s: again", self._command[0], self._process.returncode)
            self._process = subprocess.Popen(self._command)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def follow(part: Part, peers: Peers) -> int:
    """Run `part` until it ends or SIGTERM comes; its exit status, 0 after SIGTERM."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    known = _wait_for_all(peers, stopping)
    if known is None:
        return 0
    part.write(known)
    process = subprocess.Popen(part.command)
    helpers = [_Helper(command) for command in part.beside]
    try:
        return _run(part, peers, process, known, helpers, stopping)
    finally:
        for helper in helpers:
            helper.end()


def _run(
    part: Part,
    peers: Peers,
    process: subprocess.Popen[bytes],
    known: dict[str, Addresses],
    helpers: Sequence[_Helper],
    stopping: threading.Event,
) -> int:
    while process.poll() is None:
        if stopping.wait(LOOK_EVERY_S):
            return _end(process, part.stops)
        for helper in helpers:
            helper.look()
        found = peers.look()
        if found != known:
            log.info("peers are now %s", found)
            try:
                part.write(found)
                part.tell(process)
            except (OSError, subprocess.SubprocessError) as error:
                # It goes on with those it knows, and is told again in a moment.
                log.error("could not be told: %s", error)
                continue
            known = found
    log.error("%s ended with status %s", part.command[0], process.returncode)
    return process.returncode or 1


def _wait_for_all(peers: Peers, stopping: threading.Event) -> dict[str, Addresses] | None:
    """Until there is somebody of each kind; None when it is to stop before that."""
    told: list[str] = []
    while True:
        found = peers.look()
        missing = [kind for kind, addresses in found.items() if not addresses]
        if not missing:
            return found
        if missing != told:
            log.info("waiting for %s", ", ".join(missing))
            told = missing
        if stopping.wait(LOOK_EVERY_S):
            return None


def _end(process: subprocess.Popen[bytes], stops: Sequence[Stop]) -> int:
    for stop in stops:
        process.send_signal(stop.signal)
        try:
            process.wait(stop.within_s)
        except subprocess.TimeoutExpired:
            continue
        return 0
    process.kill()
    process.wait()
    return 0
