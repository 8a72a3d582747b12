"""A publisher that finds its nodes by name, and a DNS that the test changes as it likes.

`python -m tests.e2e.names FILE` runs the publisher with the names that FILE knows, as JSON:
{"name": ["address", ...]}. Nodes at several addresses with one port: forwarders on loopback.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from publisher import __main__ as publisher
from publisher import fleet
from stack.ports import is_free
from stack.stack import Stack
from tests.e2e.forwarder import Forwarder
from tests.e2e.metrics import metric
from tests.e2e.viewers import answers, until

HOSTS = ("127.0.0.2", "127.0.0.3")


class PublisherByName:
    """In place of a stack's publisher: at first it knows one Varnish and one Pushpin."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        ports = {status.name: status.ports for status in stack.status()}
        self._folder = Path(tempfile.mkdtemp(prefix="holdfast-names-"))
        self._name(HOSTS[:1])
        edge, control = _free_port(), _free_port()
        self._forwarders = [
            Forwarder((host, port), ports[part][name])
            for number, host in enumerate(HOSTS, 1)
            for port, part, name in (
                (edge, f"varnish-{number}", "http"),
                (control, f"pushpin-{number}", "publish"),
            )
        ]
        self.url = f"http://127.0.0.1:{ports['publisher-1']['metrics']}"
        self._environment = {
            **os.environ,
            **stack.settings(),
            "HOLDFAST_SLOT": "publisher-1",
            "HOLDFAST_METRICS_PORT": str(ports["publisher-1"]["metrics"]),
            "HOLDFAST_PURGE_URLS": f"dns+http://edges:{edge}",
            "HOLDFAST_GRIP_URL": f"dns+http://pushpins:{control}",
        }

    def __enter__(self) -> PublisherByName:
        self._stack.stop_part("publisher-1")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.names", str(self._folder / "names")],
            env=self._environment,
        )
        until(lambda: answers(f"{self.url}/health/ready"), "the publisher", 40)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        for forwarder in self._forwarders:
            forwarder.close()
        shutil.rmtree(self._folder)
        self._stack.start_part("publisher-1")
        until(lambda: answers(f"{self.url}/health/ready"), "the stack's own publisher", 40)

    def joined(self) -> None:
        """DNS knows the second Varnish and the second Pushpin, too."""
        self._name(HOSTS)

    def names_fail(self) -> None:
        """DNS knows nobody any more; returns once the publisher has met that."""
        self._name(())
        until(lambda: metric([self.url], "holdfast_dns_errors_total") >= 2, "a DNS failure")

    def _name(self, hosts: tuple[str, ...]) -> None:
        new = self._folder / "new"
        new.write_text(json.dumps({"edges": hosts, "pushpins": hosts}))
        new.replace(self._folder / "names")


def _free_port() -> int:
    while True:
        with socket.create_server((HOSTS[0], 0)) as server:
            port: int = server.getsockname()[1]
        with socket.socket() as other:
            try:
                other.bind((HOSTS[1], port))
            except OSError:
                continue
        if is_free(port):
            return port


def _answer_from(file: Path) -> None:
    """From now on names that stand in `file` are resolved by it, all others as before."""
    ask: Any = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any, **more: Any) -> list[Any]:
        known = json.loads(file.read_text())
        if host not in known:
            return list(ask(host, *rest, **more))
        if not known[host]:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [found for address in known[host] for found in ask(address, *rest, **more)]

    socket.getaddrinfo = getaddrinfo


if __name__ == "__main__":
    fleet.EVERY_S = 0.5
    _answer_from(Path(sys.argv[1]))
    sys.exit(publisher.main())
