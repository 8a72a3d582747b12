"""Lets viewers at a Pushpin once its processes have found each other.

`python -m stack.gate FOLDER COMMAND...` runs COMMAND, a Pushpin that listens on the sockets
FOLDER/run/starting-N, and renames each to FOLDER/run/http-N, where nginx looks for it, when all is
connected.

Pushpin 1.36 accepts connections before that, and what its processes say to each other is lost
meanwhile: when 24 viewers came in the first moments, in one start of three some were answered by
500, or by nothing at all (docs/reliability.md).
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path

# Connections to each of ZeroMQ's sockets: by the proxy, the handler, or both.
_PEERS = {
    "condure-out": 1,
    "condure-out-stream": 2,
    "condure-in": 2,
    "zurl-in": 1,
    "zurl-in-stream": 1,
    "zurl-out": 1,
    "intreq-in": 1,
    "intreq-in-stream": 1,
    "intreq-out": 1,
    "inspect": 1,
    "accept": 1,
    "retry": 1,
}
# A connection is there before its two ends have told each other what they want to hear.
SETTLE_S = 0.2
_POLL_S = 0.02
# A Pushpin that never comes so far is better open than closed.
_PATIENCE_S = 10.0


def main() -> None:
    folder, *command = sys.argv[1:]
    run = Path(folder) / "run"
    for left in (*run.glob("starting-*"), *run.glob("http-*")):
        left.unlink(missing_ok=True)
    leader = os.getpid()
    if os.fork() == 0:
        open_when_ready(run, leader)
        os._exit(0)
    os.execvp(command[0], command)  # noqa: S606 - a list, never a shell string


def open_when_ready(run: Path, leader: int) -> None:
    """Rename the sockets; not when the leader, our parent, is gone."""
    deadline = time.monotonic() + _PATIENCE_S
    since = None
    while os.getppid() == leader:
        now = time.monotonic()
        if not connected(run):
            since = None
        elif since is None:
            since = now
        if (since is not None and now - since >= SETTLE_S) or now >= deadline:
            for socket in run.glob("starting-*"):
                socket.rename(run / socket.name.replace("starting", "http"))
            return
        time.sleep(_POLL_S)


def connected(run: Path) -> bool:
    """Whether it listens, and each of its processes is connected to each of the others."""
    peers: Counter[str] = Counter()
    listening = False
    for line in Path("/proc/net/unix").read_text().splitlines():
        # Num RefCount Protocol Flags Type St Inode Path (proc_net(5), unix)
        fields = line.split(maxsplit=7)
        if len(fields) < 8 or not fields[7].startswith(f"{run}/"):
            continue
        name = fields[7].removeprefix(f"{run}/")
        if fields[5] == "03":
            peers[name] += 1
        elif name.startswith("starting-"):
            listening = True
    return listening and all(
        sum(count for name, count in peers.items() if name.endswith(f"-{socket}")) >= wanted
        for socket, wanted in _PEERS.items()
    )


if __name__ == "__main__":
    main()
