"""Front doors of the tests' own, in front of the session's stack: nginx starts in a moment."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from stack import configure, ports
from stack.certificate import Certificate, own
from stack.layout import POST_RATE, Sizes
from stack.stack import Stack
from tests.e2e.viewers import until

AS_FOUND = Path(__file__).with_name("as_found.conf")
PLAIN = Path(__file__).with_name("plain.conf")


@dataclass(frozen=True, slots=True)
class Door:
    """One that speaks HTTPS. context: of a client that trusts its certificate."""

    port: int
    certificate: Certificate
    context: ssl.SSLContext
    log: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@contextmanager
def tls_door(stack: Stack) -> Iterator[Door]:
    """What `holdfast up --tls` would have in front of these very parts."""
    with _folder() as folder:
        door = _door(folder)
        numbers = {**json.loads((stack.dir / "ports.json").read_text()), "nginx": door.port}
        configure.nginx(folder, stack.dir, numbers, Sizes(), POST_RATE, door.certificate)
        with _nginx(folder, door.port, door.log):
            yield door


@contextmanager
def door_as_found(url: str) -> Iterator[Door]:
    """Somebody's nginx in front of ours, about which nobody thought of streams."""
    with _folder() as folder:
        door = _door(folder)
        configure.render(
            AS_FOUND,
            folder / "nginx.conf",
            folder=folder,
            port=door.port,
            certificate=door.certificate.file,
            key=door.certificate.key,
            upstream=url,
        )
        with _nginx(folder, door.port, door.log):
            yield door


@dataclass(frozen=True, slots=True)
class PlainDoors:
    """Three that speak HTTP/1.1: one passes all on, one gathers streams, one refuses them.

    refuse: as long as this file is there.
    """

    direct: str
    gathering: str
    refusing: str
    refuse: Path

    def in_flight(self) -> int:
        """Requests that are being answered by the three together."""
        status = httpx.get(f"{self.direct}/_status", timeout=30).raise_for_status().text
        writing = re.search(r"Writing: (\d+)", status)
        assert writing is not None, status
        return int(writing[1]) - 1  # this one


@contextmanager
def plain_doors(url: str) -> Iterator[PlainDoors]:
    """Somebody's nginx in front of ours, without TLS."""
    names = ["direct", "gathering", "refusing"]
    with _folder() as folder:
        folder.chmod(0o755)  # started by root, nginx looks for `refuse` as somebody else
        numbers = ports.choose(folder / "ports.json", names, {})
        configure.render(PLAIN, folder / "nginx.conf", folder=folder, upstream=url, **numbers)
        urls = {name: f"http://127.0.0.1:{numbers[name]}" for name in names}
        with _nginx(folder, numbers["direct"], folder / "nginx.log"):
            yield PlainDoors(**urls, refuse=folder / "refuse")


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="holdfast-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _door(folder: Path) -> Door:
    port = ports.choose(folder / "ports.json", ["nginx"], {})["nginx"]
    certificate = own(folder / "tls")
    context = ssl.create_default_context(cafile=certificate.file)
    return Door(port, certificate, context, folder / "nginx.log")


@contextmanager
def _nginx(folder: Path, port: int, log: Path) -> Iterator[None]:
    command = ["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"]
    with log.open("wb") as out:
        process = subprocess.Popen([*command, "-g", "daemon off;"], stderr=out)
    try:
        until(lambda: ports.listens(port) or process.poll() is not None, "nginx to listen", 30)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(30)
