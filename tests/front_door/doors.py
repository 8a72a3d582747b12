"""Front doors of the tests' own, in front of the session's stack: nginx starts in a moment."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack import configure, ports
from stack.certificate import Certificate, own
from stack.layout import POST_RATE, Sizes
from stack.stack import Stack
from tests.e2e.viewers import until

AS_FOUND = Path(__file__).with_name("as_found.conf")


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
        with _nginx(folder, door):
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
        with _nginx(folder, door):
            yield door


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
def _nginx(folder: Path, door: Door) -> Iterator[None]:
    command = ["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"]
    with door.log.open("wb") as log:
        process = subprocess.Popen([*command, "-g", "daemon off;"], stderr=log)
    try:
        until(lambda: ports.listens(door.port) or process.poll() is not None, "nginx to listen", 30)
        assert process.poll() is None, door.log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(30)
