"""CPU by part: the user and system time of each part's processes."""

from __future__ import annotations

from collections.abc import Mapping

import psutil

from stack.stack import Stack


def of_stack(stack: Stack) -> dict[str, float]:
    """CPU seconds since its start, by part."""
    return {status.name: of_tree(status.pid) for status in stack.status() if status.pid}


def of_tree(pid: int) -> float:
    """CPU seconds of a process and of all below it; 0 once it is gone.

    By the tree, not by the environment: nginx writes its title over that.
    """
    try:
        leader = psutil.Process(pid)
        return sum(_of_one(process) for process in (leader, *leader.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0.0


def _of_one(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def shares(
    before: Mapping[str, float], after: Mapping[str, float], seconds: float
) -> dict[str, float]:
    """Cores that each part used between two looks, e.g. 0.5 = half a core."""
    return {part: (after[part] - before.get(part, 0.0)) / seconds for part in after}
