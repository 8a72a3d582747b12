"""Varnish, Pushpin and nginx in a container each. Settings are environment variables.

Each class says which: those without a default are required; a secret NAME may be in a file that
NAME_FILE names.
"""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from zlib import crc32

from containers.follow import Stop
from containers.peers import Addresses, Peers
from stack import commands, render

# Where a part keeps what it writes: a tmpfs.
RUN = Path("/run/holdfast")
ANYWHERE = "0.0.0.0"  # noqa: S104 - of its container
# Publishers look for nodes every 5 s, and tell a new one at once what it missed.
JOIN_AFTER_S = 8.0
# Of the workers of before a reload: nobody is cut off because a node came or went.
NGINX_LINGER_S = 3600
CONNECTIONS = 65_536  # of one nginx worker
PUSHPIN_PORTS = {
    "http": 7999,
    "publish": 5561,
    "push": 5560,
    "sub": 5562,
    "command": 5563,
    "metrics": 9100,
}


class Varnish:
    """ORIGINS: name:port. HOLDFAST_FASTLY_KEY, HOLDFAST_FASTLY_SERVICE_ID. MEMORY: of its cache.

    METRICS_PORT: an exporter serves what Varnish counts there; without it none is started.
    """

    stops = (Stop(signal.SIGTERM, 5.0),)

    def __init__(
        self, environment: Mapping[str, str], run: Path = RUN, address: str = f"{ANYWHERE}:6081"
    ) -> None:
        self.peers = Peers({"origins": required(environment, "ORIGINS")})
        self._run = run
        self._service = environment.get("HOLDFAST_FASTLY_SERVICE_ID", "holdfast")
        self._key = required(environment, "HOLDFAST_FASTLY_KEY")
        self._loads = 0
        self._used = "boot"  # varnishd's own name for the VCL that it starts with
        memory = environment.get("MEMORY", "64m")
        # The log that varnishlog shows lies in `run`, which is memory, too.
        log = ("-p", "vsl_space=16M")
        self.command = (*commands.varnishd(run, address, memory=memory), *log)
        port = environment.get("METRICS_PORT", "")
        host = address.rpartition(":")[0]
        self.beside = (commands.varnish_exporter(run, f"{host}:{port}"),) if port else ()

    def write(self, peers: Mapping[str, Addresses]) -> None:
        render.edge(
            self._run / "default.vcl", peers["origins"], service=self._service, key=self._key
        )

    def tell(self, process: subprocess.Popen[bytes]) -> None:
        """The cache, and the barrier's notes, outlive the VCL that they were made with."""
        self._loads += 1
        name = f"origins-{self._loads}"
        self._admin("vcl.load", name, str(self._run / "default.vcl"))
        self._admin("vcl.use", name)
        before, self._used = self._used, name
        self._admin("vcl.discard", before)

    def _admin(self, *command: str) -> None:
        subprocess.run(
            ("varnishadm", "-n", str(self._run / "work"), *command),
            check=True,
            timeout=60,
            stdout=subprocess.DEVNULL,
        )


class Pushpin:
    """VARNISHES: name:port of the edge's nodes. HOLDFAST_GRIP_KEY."""

    stops = (Stop(signal.SIGTERM, 8.0),)
    beside = ()
    sockets = False

    def __init__(
        self,
        environment: Mapping[str, str],
        run: Path = RUN,
        host: str = ANYWHERE,
        ports: Mapping[str, int] = PUSHPIN_PORTS,
    ) -> None:
        self._run, self._host, self._ports = run, host, ports
        # Any number that other Pushpins do not share as a rule.
        self._first = crc32(socket.gethostname().encode())
        names = {"varnishes": required(environment, "VARNISHES")}
        self.peers = Peers(names, join_after_s=JOIN_AFTER_S)
        self._key = required(environment, "HOLDFAST_GRIP_KEY")
        self.command = (*commands.pushpin(run), "--merge-output")

    def write(self, peers: Mapping[str, Addresses]) -> None:
        render.pushpin(
            self._run,
            prefix="",
            sig_key=self._key,
            ports=self._ports,
            host=self._host,
            sockets=self.sockets,
        )
        render.routes(
            self._run / "routes", peers["varnishes"], first=self._first, sockets=self.sockets
        )

    def tell(self, process: subprocess.Popen[bytes]) -> None:
        """It looks for new routes by itself: within a second."""


class WebSocketPushpin(Pushpin):
    """One that holds WebSockets, and nothing else."""

    sockets = True


class Nginx:
    """VARNISHES, PUSHPINS, WEBSOCKETS: name:port. POST_RATE: updates/s from one address.

    WORKERS: processes.
    CERTIFICATE, CERTIFICATE_KEY: paths, PEM; with them it speaks HTTPS and HTTP/2.
    """

    beside = ()
    _KINDS = ("varnishes", "pushpins", "websockets")
    # In-flight answers are finished; streams would never be.
    stops = (Stop(signal.SIGQUIT, 2.0), Stop(signal.SIGTERM, 5.0))

    def __init__(
        self, environment: Mapping[str, str], run: Path = RUN, address: str = f"{ANYWHERE}:8080"
    ) -> None:
        self._run, self._address = run, address
        names = {kind: required(environment, kind.upper()) for kind in self._KINDS}
        self.peers = Peers(names, join_after_s=JOIN_AFTER_S)
        self._post_rate = int(environment.get("POST_RATE", "1000"))
        self._hold_rate = int(environment.get("HOLD_RATE", str(render.HOLD_RATE)))
        shown = environment.get("CERTIFICATE")
        self._certificate = (
            (Path(shown), Path(required(environment, "CERTIFICATE_KEY"))) if shown else None
        )
        self._workers = environment.get("WORKERS", "2")
        self.command = commands.nginx(run)

    def write(self, peers: Mapping[str, Addresses]) -> None:
        nofile = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if nofile == resource.RLIM_INFINITY:
            nofile = 1_000_000
        render.door(
            self._run / "nginx.conf",
            pushpins=[f"{address} max_fails=0" for address in peers["pushpins"]],
            websockets=[f"{address} max_fails=0" for address in peers["websockets"]],
            varnishes=peers["varnishes"],
            address=self._address,
            certificate=self._certificate,
            connections=min(nofile, CONNECTIONS),
            nofile=nofile,
            post_rate=self._post_rate,
            hold_rate=self._hold_rate,
            workers=self._workers,
            linger_s=NGINX_LINGER_S,
        )

    def tell(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGHUP)


Runnable = Varnish | Pushpin | Nginx
PARTS: Mapping[str, Callable[[Mapping[str, str]], Runnable]] = {
    "varnish": Varnish,
    "pushpin": Pushpin,
    "websocket": WebSocketPushpin,
    "nginx": Nginx,
}


def required(environment: Mapping[str, str], name: str) -> str:
    """A setting, or what the file called <name>_FILE holds. ValueError when there is neither."""
    file = environment.get(f"{name}_FILE")
    value = Path(file).read_text().strip() if file else environment.get(name, "")
    if not value:
        raise ValueError(f"{name} is not set; it has no default")
    return value
