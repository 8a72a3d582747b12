"""A real redis-server of the tests' own: on a Unix socket, with an AOF that can be cut back."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import redis

from holdfast.state import connect

DEADLINE_S = 10.0


class RedisServer:
    """redis-server in a folder of its own. Nothing else is stopped or touched.

    options: more of redis.conf. url: where it is asked, to be changed before the start.
    """

    def __init__(self, **options: object) -> None:
        self._options = {name.replace("_", "-"): value for name, value in options.items()}
        # Not pytest's tmp_path: its long names don't leave room for a Unix socket.
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-redis-"))
        self.socket = self.folder / "redis.sock"
        self.url = f"unix://{self.socket}?db=0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {
            "port": 0,
            "unixsocket": self.socket,
            "dir": self.folder,
            "logfile": self.folder / "log",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "no",  # kill -9 leaves the page cache alone, and the tests fast
            "auto-aof-rewrite-percentage": 0,
            **self._options,
        }
        arguments = [part for key, value in options.items() for part in (f"--{key}", str(value))]
        self._process = subprocess.Popen(["redis-server", *arguments])
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                with redis.Redis.from_url(self.url) as client:
                    client.ping()
                return
            except redis.ConnectionError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.005)

    def kill(self) -> None:
        """As kill -9 does: what was answered is in the page cache, and so in the file."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(DEADLINE_S)
        self._process = None
        self.socket.unlink(missing_ok=True)

    def mark(self) -> int:
        """How long the AOF is now: `roll_back` returns to this moment."""
        return self._aof().stat().st_size

    def roll_back(self, mark: int) -> None:
        """Come back as a Redis that lost everything since `mark`."""
        self.kill()
        with self._aof().open("r+b") as file:
            file.truncate(mark)
        self.start()

    def wipe(self) -> None:
        """Come back empty."""
        self.kill()
        shutil.rmtree(self.folder / "appendonlydir")
        self.start()

    def connect(self) -> redis.Redis:
        """A client as Holdfast makes it."""
        return connect(self.url)

    def close(self) -> None:
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _aof(self) -> Path:
        (file,) = (self.folder / "appendonlydir").glob("*.incr.aof")
        return file
