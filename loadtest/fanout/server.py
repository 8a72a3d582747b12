"""Servers that the probe starts for itself."""

from __future__ import annotations

import http.client
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import click
import requests

from holdfast.formats import sse_release
from holdfast.snapshots import Snapshot
from stack import configure, ports
from stack.load import cpu

HERE = Path(__file__).parent
START_TIMEOUT_S = 20.0


class Server:
    """Programs on free ports in a folder of their own; ended, and the folder gone, on exit."""

    port_names: Sequence[str] = ()

    def __enter__(self) -> Server:
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-fan-"))
        self.ports = ports.choose(self.folder / "ports.json", self.port_names, {})
        self.nofile = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._version = 1
        try:
            self.start()
            self._wait()
        except BaseException:
            self._end()
            raise
        self._connection = http.client.HTTPConnection("127.0.0.1", self._publish_port())
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._end()

    def start(self) -> None:
        raise NotImplementedError

    @property
    def url(self) -> str:
        """Where viewers connect."""
        raise NotImplementedError

    def publish(self) -> int:
        """One message, once the server has taken it; its version."""
        raise NotImplementedError

    def cpu(self) -> dict[str, float]:
        """CPU seconds by program."""
        return {name: cpu.of_tree(process.pid) for name, process in self._running.items()}

    def next_release(self) -> tuple[int, bytes]:
        """A message like Holdfast's, with the next version."""
        now_ms = int(time.time() * 1000)
        prev, self._version = self._version, max(self._version + 1, now_ms)
        snapshot = Snapshot("counter", b"%d" % self._version, self._version, prev, now_ms)
        return self._version, sse_release(snapshot)

    def _publish_port(self) -> int:
        raise NotImplementedError

    def post(self, path: str, body: bytes, content_type: str) -> None:
        self._connection.request("POST", path, body, {"Content-Type": content_type})
        answer = self._connection.getresponse()
        answer.read()
        if answer.status >= 300:
            raise click.ClickException(f"{path} answered {answer.status}")

    def spawn(self, name: str, *command: str, environment: Mapping[str, str] | None = None) -> None:
        def raise_limit() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.nofile, self.nofile))

        with (self.folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                command,
                env={**os.environ, **(environment or {})},
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=raise_limit,
            )

    def nginx(self, name: str, template: str, **values: object) -> None:
        folder = self.folder / name
        configure.render(
            HERE / template,
            folder / "nginx.conf",
            folder=folder,
            user="user root;" if os.geteuid() == 0 else "",
            port=self.ports[name],
            **values,
        )
        self.spawn(
            name,
            *("nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"),
            *("-g", "daemon off;"),
        )

    def _wait(self) -> None:
        """Until a viewer is held."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._holds():
            for name, process in self._running.items():
                if process.poll() is not None or time.monotonic() > deadline:
                    said = (self.folder / f"{name}.log").read_text(errors="replace")
                    raise click.ClickException(f"{name} did not start: {said[-1000:]}")
            time.sleep(0.05)

    def _holds(self) -> bool:
        headers = {"Accept": "text/event-stream"}
        try:
            with requests.get(self.url, headers=headers, stream=True, timeout=1) as answer:
                return answer.status_code == 200
        except requests.RequestException:
            return False

    def _end(self) -> None:
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)
