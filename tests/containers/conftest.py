"""Parts as they run in containers, but on this machine and with names that a file stands for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stack.layout import REPO
from stack.ports import HOST, choose

FOLLOW = """
import json, logging, pathlib, socket, sys
from containers import parts, peers
from containers.follow import follow

kind, names, run, options = sys.argv[1:]

def lookup(name, port):
    found = json.loads(pathlib.Path(names).read_text()).get(name)
    if not found:
        raise socket.gaierror(name)
    return found

logging.basicConfig(level=logging.INFO)
peers.addresses = lookup
parts.JOIN_AFTER_S = 0.5
environment = {
    "ORIGINS": "origin:1",
    "VARNISHES": "varnish:1",
    "PUSHPINS": "pushpin:1",
    "WEBSOCKETS": "websocket:1",
    "HOLDFAST_FASTLY_KEY": "key-of-the-edge",
    "HOLDFAST_GRIP_KEY": "key-of-pushpin",
}
options = json.loads(options)
environment |= options.pop("environment", {})
part = parts.PARTS[kind](environment, pathlib.Path(run), **options)
sys.exit(follow(part, part.peers))
"""


class Follower:
    """`python3 -m containers KIND`; where its peers are is what `tell` said last."""

    def __init__(self, folder, kind, **options):
        self.folder = folder
        self._names = folder / "names.json"
        self._kind, self._options = kind, options

    def tell(self, **names):
        new = self.folder / "names.new"
        new.write_text(json.dumps({name: list(each) for name, each in names.items()}))
        new.replace(self._names)

    def start(self):
        words = (self._kind, str(self._names), str(self.folder / "run"), json.dumps(self._options))
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", FOLLOW, *words],
                cwd=REPO,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Named:
    """An HTTP server that answers everything with its name; /stream never ends by itself."""

    def __init__(self, name):
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.asked.append(self.path)
                self.send_response(200)
                self.send_header("Surrogate-Control", "max-age=300")
                self.send_header("Surrogate-Key", "value:x")
                if self.path.startswith("/stream"):
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.wfile.write(f"{name}\n".encode())
                    server.tick.wait(60)
                    self.wfile.write(f"{name} again\n".encode())
                    self.close_connection = True
                    return
                self.send_header("Content-Length", str(len(name)))
                self.end_headers()
                self.wfile.write(name.encode())

            def log_message(self, *_):
                pass

        self.asked = []
        self.tick = threading.Event()
        self._http = ThreadingHTTPServer((HOST, 0), Handler)
        self._http.daemon_threads = True
        self.address = f"{HOST}:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self):
        self.tick.set()
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def named():
    """Make servers that know their name."""
    made = []

    def make(name):
        made.append(Named(name))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def follower(tmp_path_factory):
    """Make followers, in short folders: Unix sockets have short names."""
    made = []

    def make(kind, **options):
        folder = tmp_path_factory.mktemp(kind[0])
        (folder / "run").mkdir()
        made.append(Follower(folder, kind, **options))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture
def ports(tmp_path):
    """Choose free ports, by name."""
    return lambda *names: choose(tmp_path / "ports.json", names, {})
