"""What can befall a part."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stack import orphans
from stack.chaos.failover import fail_over
from stack.stack import Stack


@dataclass(frozen=True, slots=True)
class Fault:
    """happen(stack, part, seconds) returns when it is over: from then on the part may recover. It
    may return what has to be done after the round, before the stack can be used again.

    parts: prefixes of the names that it makes sense for, () = all. forgets: Redis loses its
    buckets, so that a value may be released once more than its rate allows.
    """

    name: str
    happen: Callable[[Stack, str, float], Callable[[], None] | None]
    parts: tuple[str, ...] = ()
    forgets: bool = False

    def fits(self, part: str) -> bool:
        return not self.parts or part.startswith(self.parts)


def _kill(stack: Stack, part: str, _seconds: float) -> None:
    os.kill(stack.pid(part), signal.SIGKILL)


def _hang(stack: Stack, part: str, seconds: float) -> None:
    """All processes of the part stand still, its sockets stay open."""
    stopped = orphans.of_part(stack.dir, part)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        for pid in stopped:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue


def _restart(stack: Stack, part: str, _seconds: float) -> None:
    stack.restart(part)


def _leave(stack: Stack, part: str, seconds: float) -> None:
    stack.stop_part(part)
    try:
        time.sleep(seconds)
    finally:
        stack.start_part(part)


def _wipe(stack: Stack, part: str, _seconds: float) -> None:
    stack.stop_part(part)
    shutil.rmtree(stack.dir / "redis" / "appendonlydir")
    stack.start_part(part)


def _roll_back(stack: Stack, part: str, _seconds: float) -> None:
    """Redis comes back as it was 2 s before: kill -9 alone would lose nothing."""
    file = aof(stack)
    size = file.stat().st_size
    time.sleep(2.0)
    stack.stop_part(part)
    with file.open("r+b") as log:
        log.truncate(size)
    # What was cut in the middle of a command is left out when Redis reads it.
    stack.start_part(part)


def aof(stack: Stack) -> Path:
    """The file that Redis appends every change to."""
    (file,) = (stack.dir / "redis" / "appendonlydir").glob("*.incr.aof")
    return file


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("kill -9", _kill),
        Fault("hang", _hang),
        Fault("restart", _restart),
        Fault("leave", _leave, parts=("publisher",)),
        Fault("wipe", _wipe, parts=("redis",), forgets=True),
        Fault("roll back", _roll_back, parts=("redis",), forgets=True),
        Fault("fail over", fail_over, parts=("redis",), forgets=True),
    )
}
