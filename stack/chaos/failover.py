"""Redis fails over: a replica that lags takes the place of the master, at the master's address."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable

import redis

from stack.stack import Stack, StackError

LAG_S = 2.0
DEADLINE_S = 20.0
NOBODY = ("127.0.0.1", "1")  # a master that nobody is


class Replica:
    """A redis-server that copies a stack's. It is asked through a socket in a folder of its own."""

    def __init__(self, stack: Stack) -> None:
        self._folder = stack.dir / "redis-replica"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        self._stack = stack
        self._port = int(stack.redis_url.rpartition(":")[2].partition("/")[0])
        socket = self._folder / "socket"
        options = {
            "port": "0",
            "bind": "127.0.0.1",
            "unixsocket": str(socket),
            "dir": str(self._folder),
            "logfile": str(self._folder / "log"),
            "appendonly": "yes",
            "save": "",
            "replicaof": f"127.0.0.1 {self._port}",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            ["redis-server", *words],
            env={**os.environ, **stack.settings()},
            start_new_session=True,
        )
        self._client = redis.Redis(unix_socket_path=str(socket))

    def wait_copied(self) -> None:
        """Until it has all that the master has."""
        self._until(lambda: self._about("master_link_status") == "up", "the replica's copy")

    def cut_off(self) -> None:
        """It hears nothing more of its master, and keeps what it has."""
        self._client.replicaof(*NOBODY)

    def promote(self) -> None:
        """It is the master now, and listens where that did."""
        self._client.replicaof("NO", "ONE")
        self._until(self._takes_port, "the master's port")

    def hand_over(self) -> None:
        """Let the stack's own Redis go on with what this one has; this one ends."""
        self._client.shutdown()
        self._process.wait(DEADLINE_S)
        own = self._stack.dir / "redis" / "appendonlydir"
        shutil.rmtree(own)
        (self._folder / "appendonlydir").rename(own)
        self._stack.start_part("redis")

    def _takes_port(self) -> bool:
        try:
            self._client.config_set("port", self._port)
        except redis.ResponseError:  # the master's sockets are still being closed
            return False
        return True

    def _about(self, name: str) -> str:
        try:
            return str(self._client.info("replication").get(name))
        except redis.ConnectionError:
            return ""

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            if time.monotonic() > deadline:
                log = (self._folder / "log").read_text()
                raise StackError(f"no failover, not within {DEADLINE_S:g} s: {what}\n{log[-2000:]}")
            time.sleep(0.02)


def fail_over(stack: Stack, part: str, _seconds: float) -> Callable[[], None]:
    """The master dies for good, and a replica that is 2 s behind it is promoted.

    Returns what puts the stack's own Redis back, without any loss.
    """
    replica = Replica(stack)
    replica.wait_copied()
    replica.cut_off()
    time.sleep(LAG_S)
    os.kill(stack.pid(part), signal.SIGKILL)
    stack.stop_part(part)  # supervisord would start it again
    replica.promote()
    return replica.hand_over
