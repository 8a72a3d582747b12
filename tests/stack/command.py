"""The `holdfast` command as a user runs it, in a folder of its own, and what it leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stack import orphans
from stack.stack import Stack
from tests.e2e.viewers import until

COMMAND = Path(sys.executable).parent / "holdfast"
VALUES = """
[values.headline]
reduce = "latest"
default = true
[values.counter]
reduce = "sum"
[values.visits]
reduce = "sum"
[values."many.*"]
reduce = "sum"
"""


class Folder:
    """A folder for one stack: runs commands in it, and knows which processes belong to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values = path.with_suffix(".toml")
        self.values.write_text(VALUES)
        self.stack = Stack(path)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *words, "--dir", self.path],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def up_words(self, *words: str) -> list[str]:
        ports = ["--port", "0", "--pushpin-port", "0"]
        return ["up", *ports, "--values", str(self.values), *words]

    def up(self, *words: str) -> str:
        """Up, detached; what it printed. AssertionError when it did not come up."""
        done = self.run(*self.up_words("--detach", *words))
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def foreground(self) -> Iterator[Foreground]:
        """`holdfast up`, which stays in the terminal."""
        process = Foreground(self)
        try:
            yield process
        finally:
            process.end()

    def status(self) -> dict[str, dict[str, Any]]:
        """Parts by name, as `status --json` has them."""
        done = self.run("status", "--json")
        assert done.returncode == 0, done.stderr
        return {part["name"]: part for part in json.loads(done.stdout)["parts"]}

    def processes(self) -> set[int]:
        """Every process of every group that belongs to the folder's stack."""
        groups = orphans.find(self.path)
        found = set()
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                try:
                    if os.getpgid(int(process.name)) in groups:
                        found.add(int(process.name))
                except ProcessLookupError:
                    continue
        return found

    def assert_nothing_left(self) -> None:
        until(lambda: not self.processes(), "the end of every process", 25)

    def remove(self) -> None:
        orphans.end(self.path)
        shutil.rmtree(self.path, ignore_errors=True)
        self.values.unlink()


class Foreground:
    """A running `holdfast up`; what it says goes to files."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._said = folder.path.with_suffix(".said")
        with self._said.open("wb") as out:
            self.process = subprocess.Popen(
                [COMMAND, *folder.up_words(), "--dir", folder.path], stdout=out, stderr=out
            )

    @property
    def said(self) -> str:
        return self._said.read_text()

    def wait_for(self, words: str, timeout_s: float = 60) -> None:
        until(lambda: words in self.said or self._ended(), words, timeout_s)
        said = self.said
        assert words in said, said

    def wait(self, timeout_s: float = 40) -> int:
        return self.process.wait(timeout_s)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self._said.unlink()

    def _ended(self) -> bool:
        return self.process.poll() is not None


def make_folder() -> Folder:
    """Not in pytest's tmp_path: its long names don't leave room for Unix sockets."""
    return Folder(Path(tempfile.mkdtemp(prefix="holdfast-")))
