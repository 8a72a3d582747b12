"""The stack: start it, ask it, work with its parts, end it. Built on supervisor."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from supervisor.xmlrpc import SupervisorTransport

from holdfast import values as values_toml
from holdfast.desk_api import DeskApi
from holdfast.errors import HoldfastError
from stack import certificate as certificates
from stack import configure, orphans, ports, probes
from stack.layout import POST_RATE, REPO, Part, Sizes, environment, parts, port_names, simulation
from stack.render import HOLD_RATE
from stack.serverless import emulator
from stack.serverless.parts import parts as function_parts

READY_TIMEOUT_S = 90.0
SECRETS = ("grip_key", "fastly_key", "operator_token")


class StackError(HoldfastError):
    """The stack did not come up, or is not there."""


@dataclass(frozen=True, slots=True)
class Status:
    """One part as `holdfast status` shows it. restarts: how often it died and was started again."""

    name: str
    pid: int
    state: str
    ports: Mapping[str, int]
    restarts: int


def _nothing(_line: str) -> None:
    """Say nothing."""


class Stack:
    """One stack in one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 8080,
        pushpin_port: int = 7999,
        sizes: Sizes | None = None,
        values: Path | None = None,
        simulate: bool = False,
        post_rate: int = POST_RATE,
        hold_rate: int = HOLD_RATE,
        settings: Mapping[str, str] | None = None,
        tls: bool = False,
        certificate: certificates.Certificate | None = None,
        say: Callable[[str], None] = _nothing,
    ) -> None:
        """tls: nginx speaks HTTPS. certificate: what it shows; None = one of the stack's own.

        settings: more HOLDFAST_* of all parts.
        """
        self.dir = folder.resolve()
        self._port = port
        self._pushpin_port = pushpin_port
        self._sizes = sizes or Sizes()
        self._values = (values or REPO / "values.toml").resolve()
        self._simulate = simulate
        self._post_rate = post_rate
        self._hold_rate = hold_rate
        self._settings = dict(settings or {})
        self._tls = tls
        self._certificate = certificate
        self._say = say
        self._ports: dict[str, int] = {}
        self._parts: list[Part] = []
        self._environment: dict[str, str] = {}
        self._supervisord: subprocess.Popen[bytes] | None = None

    # -- coming up

    def start(self, *, fresh: bool = False, detach: bool = False) -> None:
        """Configure and start everything; `wait_ready` tells when it serves.

        detach: the stack outlives this process. Raises ConfigError, StackError.
        """
        configure.check_folder(self.dir)
        if self.running:
            raise StackError(f"a stack runs in {self.dir} already; end it with: holdfast down")
        if self._sizes.functions:
            emulator.require()
        default = values_toml.load(self._values).default.name
        self.dir.mkdir(parents=True, exist_ok=True)
        orphans.end(self.dir)
        if fresh:
            for name in ("kafka", "redis"):
                shutil.rmtree(self.dir / name, ignore_errors=True)
        (self.dir / "logs").mkdir(exist_ok=True)
        (self.dir / "events.jsonl").unlink(missing_ok=True)
        keys = {name: configure.secret(self.dir, name) for name in SECRETS}
        self._ports = ports.choose(
            self.dir / "ports.json",
            port_names(self._sizes),
            {
                "nginx": (self._port, "--port"),
                "pushpin-1": (self._pushpin_port, "--pushpin-port"),
            },
        )
        shown = self._shown_certificate()
        configure.write(
            *(self.dir, self._ports, self._sizes, keys, self._post_rate, shown, self._say),
            hold_rate=self._hold_rate,
        )
        self._parts = parts(self.dir, self._ports, self._sizes, sys.executable, tls=self._tls)
        if self._sizes.functions:
            self._parts += function_parts(
                self._sizes.names("function"), self._ports, sys.executable
            )
        if self._simulate:
            door = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._ports['nginx']}"
            self._parts.append(simulation(door, sys.executable))
        own = environment(self.dir, self._ports, self._sizes, self._values, keys)
        self._environment = {**own, **self._settings}
        (self.dir / "stack.json").write_text(
            json.dumps(
                {
                    "environment": self._environment,
                    "default": default,
                    "parts": {part.name: dict(part.ports) for part in self._parts},
                },
                indent=1,
            )
        )
        (self.dir / "stack.json").chmod(0o600)
        conf = configure.supervisor(self.dir, self._parts, sys.executable)
        self._spawn(conf, detach)

    def _shown_certificate(self) -> certificates.Certificate | None:
        if not self._tls:
            return None
        if self._certificate is None:
            return certificates.own(self.dir / "tls")
        self._certificate.check()
        return self._certificate

    def _spawn(self, conf: Path, detach: bool) -> None:
        parent = os.getpid()

        def prepare() -> None:
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            if not detach:
                # Even if this process is killed outright, supervisord ends, and all with it.
                ctypes.CDLL(None).prctl(1, signal.SIGTERM)
                if os.getppid() != parent:
                    os._exit(1)

        with (self.dir / "logs" / "supervisord.out").open("ab") as out:
            self._supervisord = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-c", str(conf)],
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=prepare,
            )

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Until every part is ready and the front door serves. Raises StackError."""
        started = time.monotonic()
        # supervisord starts its programs after a first look at its socket, which takes a second
        # unless somebody asks something.
        while not self.running:
            self._check_alive()
            self._check_deadline(started, timeout_s, "supervisord")
            time.sleep(0.02)
        waiting = {part.name: part for part in self._parts}
        while waiting:
            for name, part in list(waiting.items()):
                if part.probe():
                    del waiting[name]
                    self._say(f"{name} is ready after {time.monotonic() - started:.1f} s")
            self._check_alive()
            self._check_deadline(started, timeout_s, ", ".join(waiting))
            time.sleep(0.1)
        default = self._told()["default"]
        # Each edge node finds out for itself that the origins are ready.
        doors = [self.url, *self.varnish_urls]
        while not all(
            probes.get(f"{door}{path}") for door in doors for path in ("/", f"/values/{default}")
        ):
            self._check_alive()
            self._check_deadline(started, timeout_s, "an answer at the front door")
            time.sleep(0.1)

    def _check_alive(self) -> None:
        if self._supervisord is not None and self._supervisord.poll() is not None:
            raise StackError(self.failure() or "supervisord ended; see logs/supervisord.out")

    def _check_deadline(self, started: float, timeout_s: float, what: str) -> None:
        if time.monotonic() - started > timeout_s:
            raise StackError(f"not ready within {timeout_s:g} s: {what}; see: holdfast logs PART")

    # -- asking

    @property
    def running(self) -> bool:
        """Whether a supervisord answers in this folder."""
        try:
            self._rpc().supervisor.getState()
        except (OSError, xmlrpc.client.Error):
            return False
        return True

    def status(self) -> list[Status]:
        """Every part. StackError when no stack runs in the folder."""
        try:
            infos: Any = self._rpc().supervisor.getAllProcessInfo()
        except (OSError, xmlrpc.client.Error):
            raise StackError(f"no stack runs in {self.dir}; start one with: holdfast up") from None
        told = self._told()["parts"]
        starts: dict[str, int] = {}
        for event in self.events():
            # A start by hand (`stop`, then `start`) is no restart.
            if event["state"] == "starting" and event["from"] in ("exited", "backoff"):
                starts[event["part"]] = starts.get(event["part"], 0) + 1
        return [
            Status(
                info["name"],
                info["pid"],
                info["statename"].lower(),
                told[info["name"]],
                starts.get(info["name"], 0),
            )
            for info in infos
            if info["name"] in told
        ]

    def events(self) -> Iterator[dict[str, Any]]:
        """What happened to the parts since the start."""
        try:
            text = (self.dir / "events.jsonl").read_text()
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:  # the line that is being written now
                continue

    def failure(self) -> str | None:
        """Why the stack gave up, with the part's last lines; None when it didn't."""
        for event in self.events():
            if event["state"] == "fatal":
                part = event["part"]
                lines = "\n".join(f"  | {line}" for line in self.last_lines(part))
                return f"{part} keeps dying; stopped everything. Its last lines:\n{lines}"
        return None

    def last_lines(self, part: str, count: int = 15) -> list[str]:
        """The end of what a part printed, then of each log that its own children write."""
        files = [
            self.dir / "logs" / f"{part}.log",
            *sorted((self.dir / part / "log").glob("*.log")),
        ]
        return [
            line
            for file in files
            if file.exists()
            for line in file.read_text(errors="replace").splitlines()[-count:]
        ]

    def parts_of(self, kind: str) -> list[str]:
        """Names of the copies of "origin", "publisher", "varnish", "pushpin" or "websocket"."""
        return [name for name in self._told()["parts"] if name.startswith(f"{kind}-")]

    def pid(self, part: str) -> int:
        """The process id of a part's leader, which is its process group's id too."""
        return next(status.pid for status in self.status() if status.name == part)

    # -- what tests and tools work with

    @property
    def url(self) -> str:
        """nginx: the front door."""
        scheme, port = next(iter(self._part_ports("nginx").items()))
        return f"{scheme}://127.0.0.1:{port}"

    @property
    def own_certificate(self) -> Path | None:
        """What clients must trust to reach the front door; None when there is no such file."""
        shown = self._shown_certificate() if self._certificate is None else None
        return shown.file if shown else None

    @property
    def pushpin_url(self) -> str:
        """The first Pushpin, without nginx in front."""
        return f"http://127.0.0.1:{self._part_ports('pushpin-1')['http']}"

    @property
    def varnish_urls(self) -> list[str]:
        return self.settings()["HOLDFAST_PURGE_URLS"].split(",")

    @property
    def edge_metrics_urls(self) -> list[str]:
        """Where the exporter of each Varnish serves /metrics, in the order of varnish_urls."""
        return self.settings()["HOLDFAST_EDGE_METRICS_URLS"].split(",")

    @property
    def origin_urls(self) -> list[str]:
        return self.settings()["HOLDFAST_ORIGIN_URLS"].split(",")

    @property
    def publisher_urls(self) -> list[str]:
        told = self._told()["parts"]
        return [
            f"http://127.0.0.1:{numbers['metrics']}"
            for name, numbers in told.items()
            if name.startswith("publisher-")
        ]

    @property
    def relay_urls(self) -> list[str]:
        told = self._told()["parts"]
        return [
            f"http://127.0.0.1:{numbers['metrics']}"
            for name, numbers in told.items()
            if name.startswith("relay-")
        ]

    def scrape_jobs(self) -> dict[str, list[str]]:
        """Where Prometheus finds figures, by the job that deploy/prometheus has them under."""
        told = self._told()["parts"]
        ports = {
            "holdfast-origin": ("origin", "http"),
            "holdfast-publisher": ("publisher", "metrics"),
            "holdfast-relay": ("relay", "metrics"),
            "holdfast-hooks": ("hooks", "metrics"),
            "holdfast-edge": ("exporter", "metrics"),
            "holdfast-pushpin": ("pushpin", "metrics"),
        }
        jobs = {
            job: [f"127.0.0.1:{told[name][port]}" for name in self.parts_of(kind)]
            for job, (kind, port) in ports.items()
        }
        jobs["holdfast-pushpin"] += [
            f"127.0.0.1:{told[name]['metrics']}" for name in self.parts_of("websocket")
        ]
        return jobs

    @property
    def bridge_metrics_url(self) -> str:
        """Of a stack whose origin is a function: where its invocations are counted."""
        return f"http://127.0.0.1:{self._part_ports('bridge')['metrics']}"

    @property
    def redis_url(self) -> str:
        return self.settings()["HOLDFAST_REDIS_URL"]

    @property
    def kafka(self) -> str:
        """Bootstrap servers."""
        return self.settings()["HOLDFAST_KAFKA"]

    @property
    def fastly_key(self) -> str:
        return self.settings()["HOLDFAST_FASTLY_KEY"]

    @property
    def grip_key(self) -> str:
        return self.settings()["HOLDFAST_GRIP_KEY"]

    @property
    def operator_token(self) -> str:
        """What an operator of this stack sends to /api/."""
        return self.settings()["HOLDFAST_OPERATOR_TOKENS"].partition(":")[2]

    @property
    def desk(self) -> DeskApi:
        """The operators' API of this stack."""
        return DeskApi(self.url, self.operator_token)

    def settings(self) -> dict[str, str]:
        """The environment of the origin and the publisher."""
        environment: dict[str, str] = self._told()["environment"]
        return environment

    def produce(self, topic: str, text: str, key: str | None = None) -> None:
        """Append one record; returns once Kafka has acknowledged it. StackError if it doesn't."""
        producer = Producer(
            {
                "bootstrap.servers": self.kafka,
                "message.timeout.ms": 10_000,
                "partitioner": "murmur2_random",
            }
        )
        failures: list[Any] = []
        producer.produce(
            topic, text, key, on_delivery=lambda error, _: failures.append(error) if error else None
        )
        if producer.flush(15) or failures:
            raise StackError(f"Kafka did not take the record: {failures or 'no answer'}")

    def stop_part(self, part: str) -> None:
        """Stop one part and leave it stopped; nothing if it is stopped already."""
        # One that just died is "not running", and would be back a moment later.
        while not self._ask(lambda rpc: rpc.supervisor.stopProcess(part), {70}):
            if self._rpc().supervisor.getProcessInfo(part)["statename"] in ("STOPPED", "FATAL"):
                return
            time.sleep(0.02)

    def start_part(self, part: str) -> None:
        """Start a stopped part; nothing if it is running."""
        self._ask(lambda rpc: rpc.supervisor.startProcess(part, False), {60})

    def restart(self, part: str) -> None:
        """Stop and start one part."""
        self.stop_part(part)
        self.start_part(part)

    def _ask(self, call: Callable[[Any], Any], harmless: set[int]) -> bool:
        """Whether supervisord did it; False at a fault that is harmless here."""
        try:
            call(self._rpc())
        except xmlrpc.client.Fault as fault:
            if fault.faultCode not in harmless:
                raise StackError(fault.faultString) from fault
            return False
        return True

    # -- ending

    def down(self, timeout_s: float = 30.0) -> None:
        """End everything that belongs to this folder, whoever started it."""
        pid_file = self.dir / "supervisord.pid"
        if self.running:
            pid = int(pid_file.read_text())
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + timeout_s
            while _alive(pid) and time.monotonic() < deadline:
                if self._supervisord is not None:
                    self._supervisord.poll()
                time.sleep(0.05)
        elif self._supervisord is not None and self._supervisord.poll() is None:
            self._supervisord.terminate()
            self._supervisord.wait(timeout_s)
        orphans.end(self.dir)

    def discard(self) -> None:
        """End everything at once, as a power cut does: for a folder that nobody needs again."""
        if self._supervisord is not None:
            self._supervisord.kill()
            self._supervisord.wait()
        orphans.end(self.dir, patience_s=0)

    def wait(self) -> int:
        """Until supervisord ends; its exit status."""
        if self._supervisord is None:
            raise StackError("this process did not start the stack")
        return self._supervisord.wait()

    @property
    def started(self) -> bool:
        """Whether this object started what runs in the folder."""
        return self._supervisord is not None

    def poll(self) -> int | None:
        """supervisord's exit status, None while it runs."""
        return None if self._supervisord is None else self._supervisord.poll()

    # -- inside

    def _rpc(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.dir}/supervisor.sock")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)

    def _told(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads((self.dir / "stack.json").read_text())
        except FileNotFoundError:
            raise StackError(f"there is no stack in {self.dir}") from None
        return told

    def _part_ports(self, part: str) -> dict[str, int]:
        numbers: dict[str, int] = self._told()["parts"][part]
        return numbers


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
