"""Which part listens where. Ports are remembered, so that a restart finds them again."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import socket
import tempfile
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from holdfast.errors import ConfigError

HOST = "127.0.0.1"
LOWEST = 10_000
# Longer than a stack takes to start.
CLAIM_S = 120.0


def is_free(port: int) -> bool:
    """Whether something could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def choose(
    file: Path, names: Sequence[str], fixed: Mapping[str, tuple[int, str]]
) -> dict[str, int]:
    """A port for each name: the one in `file` if still free, else a free one; then remember.

    fixed: name -> (port, option) that the user chose; 0 = any. Raises ConfigError when taken.
    """
    before: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    chosen: dict[str, int] = {}
    with _claims() as claimed, ExitStack() as held:
        for name in names:
            port, option = fixed.get(name, (0, ""))
            if port and not is_free(port):
                raise ConfigError(
                    f"port {port} is taken (see who: ss -ltnp 'sport = :{port}'); "
                    f"choose another with {option}"
                )
            if not port and name in before and is_free(before[name]):
                port = before[name]
            # Held until all are chosen, so that no two get the same one.
            known = port and port not in chosen.values()
            holder = _hold(port) if known else _hold_any(claimed)
            held.enter_context(holder)
            chosen[name] = holder.getsockname()[1]
        claimed.update(dict.fromkeys(chosen.values(), time.time()))
    file.write_text(json.dumps(chosen, indent=1))
    return chosen


def _hold(port: int) -> socket.socket:
    holder = socket.socket()
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((HOST, port))
        # Linux lets a second socket bind the same port until one of the two listens.
        holder.listen()
    except OSError:
        holder.close()
        raise
    return holder


@contextmanager
def _claims() -> Iterator[dict[int, float]]:
    """Which ports were chosen when (s since 1970) by this user's stacks, within CLAIM_S.

    Between a choice and the moment at which the part listens, another stack that starts must not
    choose the same. One at a time is inside.
    """
    path = Path(tempfile.gettempdir()) / f"holdfast-ports-{os.getuid()}"
    # Nobody else's link is followed in a folder that all may write.
    file_number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(file_number, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        now = time.time()
        lines = (line.split() for line in file)
        before = {int(line[0]): float(line[1]) for line in lines if len(line) == 2}
        claimed = {port: at for port, at in before.items() if now - CLAIM_S < at <= now}
        yield claimed
        file.seek(0)
        file.truncate()
        file.writelines(f"{port} {at:.3f}\n" for port, at in claimed.items())


def _hold_any(claimed: Container[int]) -> socket.socket:
    """A free port that no outgoing connection can take before its part listens there."""
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = range(LOWEST, max(first_ephemeral, LOWEST + 1_000))
    for port in random.sample(candidates, min(500, len(candidates))):
        if port in claimed:
            continue
        try:
            return _hold(port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise ConfigError(f"no free port between {candidates.start} and {candidates.stop}")
