"""Finds and ends processes that a stack left behind, e.g. after a kill -9 of supervisord."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def find(folder: Path) -> set[int]:
    """Process groups that belong to the stack in `folder`: by environment or command line.

    Some programs overwrite one of the two with their title, none both.
    """
    mark = f"HOLDFAST_STACK={folder}".encode()
    path = f"{folder}/".encode()
    groups = set()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes()
            group = os.getpgid(int(process.name))
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
        # Only whole groups: a shell or an editor that was started from a part stays alone.
        if mark in environment or (path in command and group == int(process.name)):
            groups.add(group)
    groups.discard(os.getpgid(0))
    return groups


def of_part(folder: Path, part: str) -> dict[int, int]:
    """Every process of a part, and its parent. Of Pushpin that is a tree of several groups."""
    marks = {f"HOLDFAST_STACK={folder}".encode(), f"SUPERVISOR_PROCESS_NAME={part}".encode()}
    parents: dict[int, int] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            if marks <= set(environment):
                after_name = (process / "stat").read_text().rpartition(")")[2].split()
                parents[int(process.name)] = int(after_name[1])
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
    return parents


def abandoned(folder: Path, part: str, supervisor: int) -> set[int]:
    """Processes of a part whose parent is gone: it is neither of the part nor `supervisor`.

    Pushpin's children make process groups of their own and outlive a kill -9 of their parent.
    """
    parents = of_part(folder, part)
    return {
        pid for pid, parent in parents.items() if parent != supervisor and parent not in parents
    }


def end(folder: Path, patience_s: float = 10.0) -> None:
    """SIGTERM to what is left, then SIGKILL. patience_s: in between; 0 = SIGKILL at once."""
    ways = ((signal.SIGTERM, patience_s), (signal.SIGKILL, 2.0))
    for number, wait_s in ways if patience_s else ways[1:]:
        left = find(folder)
        for group in left:
            try:
                os.killpg(group, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + wait_s
        while find(folder) and time.monotonic() < deadline:
            time.sleep(0.05)
