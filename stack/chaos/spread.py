"""How far apart the edges carry out a purge, as their own logs have it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence

from stack.stack import Stack

# When the purge was answered (s since 1970), and which versions it names: the same at every edge.
FORMAT = "%{VSL:Timestamp:Resp[1]}x %{Holdfast-Versions}i"


class PurgeWatch:
    """Notes every batch purge of a stack's edges from start() to stop()."""

    def __init__(self, stack: Stack) -> None:
        self._folders = [stack.dir / name / "work" for name in stack.parts_of("varnish")]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs = stack.dir / "purges"

    def start(self) -> None:
        self._logs.mkdir(exist_ok=True)
        for number, folder in enumerate(self._folders):
            words = ["varnishncsa", "-n", str(folder), "-q", 'ReqURL ~ "/purge$"', "-F", FORMAT]
            with (self._logs / str(number)).open("wb") as out:
                self._processes.append(subprocess.Popen(words, stdout=out))

    def stop(self) -> list[float]:
        """The spreads, in s, of what was purged meanwhile."""
        for process in self._processes:
            process.terminate()
            process.wait(10)
        logs = [self._logs / str(number) for number, _ in enumerate(self._processes)]
        return spreads(log.read_text().splitlines() for log in logs)


def spreads(edges: Iterable[Sequence[str]]) -> list[float]:
    """From the first edge to the last, of each purge that all took. edges: their lines."""
    times: list[dict[str, list[float]]] = []
    for lines in edges:
        of_edge: dict[str, list[float]] = {}
        for line in lines:
            at, _, versions = line.partition(" ")
            if "=" in versions:
                of_edge.setdefault(versions, []).append(float(at))
        times.append(of_edge)
    result: list[float] = []
    for versions in times[0] if len(times) > 1 else ():
        of_all = [of_edge.get(versions, []) for of_edge in times]
        # The same purge may come twice, from two publishers; a node that was away has fewer.
        if len({len(of_edge) for of_edge in of_all}) == 1:
            result += [max(each) - min(each) for each in zip(*map(sorted, of_all), strict=True)]
    return result


def sentence(found: Sequence[float]) -> str:
    """For people. found: spreads in s, at least one."""
    ordered = [1000 * each for each in sorted(found)]

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return (
        f"From the first edge to the last, {len(ordered):,} purges took: median {at(0.5):.1f} ms, "
        f"99 % {at(0.99):.1f} ms, longest {ordered[-1]:.1f} ms"
    )
