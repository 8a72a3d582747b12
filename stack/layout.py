"""What the stack consists of: each part's command, environment, ports and probe."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack import commands, probes
from stack.render import REPO as REPO

LIBS = REPO / "stack" / "kafka" / "libs"
# Updates per second that nginx takes from one address; twice as many at once.
POST_RATE = 1000
# The edge finds an origin sick with the second bad probe, s (fastly/default.vcl).
DRAIN_S = 2.5


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many copies of each part."""

    origins: int = 1
    publishers: int = 1
    varnishes: int = 1
    pushpins: int = 1
    websockets: int = 1  # Pushpins that hold WebSockets, and nothing else
    functions: int = 0  # environments of the origin as a function; then `origins` is 0

    def names(self, kind: str) -> list[str]:
        """Of the copies of "origin", "publisher", "relay", "varnish", "pushpin", "websocket" or
        "function".

        There are as many relays as publishers.
        """
        plural = {"varnish": "varnishes", "relay": "publishers"}.get(kind, f"{kind}s")
        return [f"{kind}-{number}" for number in range(1, getattr(self, plural) + 1)]

    @property
    def all_pushpins(self) -> list[str]:
        """Those for streams and those for WebSockets."""
        return [*self.names("pushpin"), *self.names("websocket")]


@dataclass(frozen=True, slots=True)
class Part:
    """One supervised process. probe: whether it is ready to serve.

    stop_group: the signal to stop goes to the whole process group, not only to its leader.
    """

    name: str
    command: tuple[str, ...]
    ports: Mapping[str, int]
    probe: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"
    stop_group: bool = True


def port_names(sizes: Sizes) -> list[str]:
    """The ports that the stack needs, by name."""
    names = ["nginx", "kafka", "kafka.controller", "redis"]
    for kind in ("origin", "publisher", "relay", "varnish"):
        names += sizes.names(kind)
    for pushpin in sizes.all_pushpins:
        names += [
            pushpin,
            f"{pushpin}.publish",
            f"{pushpin}.push",
            f"{pushpin}.sub",
            f"{pushpin}.command",
            f"{pushpin}.metrics",
        ]
    if sizes.functions:
        names += ["bridge", "bridge.metrics"]
        for function in sizes.names("function"):
            names += [function, f"{function}.runtime"]
    return names


def origins(sizes: Sizes) -> list[str]:
    """Names of what the edge asks: the origins, or the bridge in front of the function."""
    return ["bridge"] if sizes.functions else sizes.names("origin")


def parts(
    folder: Path, ports: Mapping[str, int], sizes: Sizes, python: str, *, tls: bool = False
) -> list[Part]:
    """Every part, in the order in which a reader would start them. tls: nginx speaks HTTPS."""
    bin_folder = Path(python).parent
    result = [
        Part(
            "kafka",
            (
                "java",
                "-Xms256m",
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-cp",
                f"{LIBS}/*",
                "kafka.Kafka",
                str(folder / "kafka" / "server.properties"),
            ),
            {"kafka": ports["kafka"], "controller": ports["kafka.controller"]},
            lambda: probes.tcp(ports["kafka"]),
        ),
        Part(
            "redis",
            (
                "redis-server",
                "--bind",
                "127.0.0.1",
                "--port",
                str(ports["redis"]),
                "--dir",
                str(folder / "redis"),
                "--appendonly",
                "yes",
                "--save",
                "",
                "--set-proc-title",
                "no",
            ),
            {"redis": ports["redis"]},
            lambda: probes.redis_ping(ports["redis"]),
        ),
    ]
    for kind, module in (("publisher", "publisher"), ("relay", "publisher.relay")):
        for name in sizes.names(kind):
            result.append(
                Part(
                    name,
                    (python, "-m", module),
                    {"metrics": ports[name]},
                    _http(ports[name], "/health/ready"),
                    {"HOLDFAST_SLOT": name, "HOLDFAST_METRICS_PORT": str(ports[name])},
                )
            )
    for name in sizes.names("origin"):
        result.append(
            Part(
                name,
                (
                    str(bin_folder / "gunicorn"),
                    "-c",
                    str(REPO / "origin" / "gunicorn.conf.py"),
                    "--bind",
                    f"127.0.0.1:{ports[name]}",
                    "origin:create_app()",
                ),
                {"http": ports[name]},
                _http(ports[name], "/health/ready"),
                {
                    "PROMETHEUS_MULTIPROC_DIR": str(folder / name / "metrics"),
                    # With nobody to take over, draining would only refuse for longer.
                    "HOLDFAST_DRAIN_S": str(DRAIN_S if sizes.origins > 1 else 0),
                },
                stop_group=False,
            )
        )
    for name in sizes.names("varnish"):
        result.append(
            Part(
                name,
                commands.varnishd(folder / name, f"127.0.0.1:{ports[name]}"),
                {"http": ports[name]},
                _tcp(ports[name]),
            )
        )
    for name in sizes.all_pushpins:
        result.append(
            Part(
                name,
                (
                    *(python, "-m", "stack.alone", str(folder), name),
                    *commands.pushpin(folder / name),
                ),
                {
                    "http": ports[name],
                    "publish": ports[f"{name}.publish"],
                    "metrics": ports[f"{name}.metrics"],
                },
                _both(ports[name], ports[f"{name}.publish"]),
            )
        )
    result.append(
        Part(
            "nginx",
            commands.nginx(folder / "nginx"),
            {"https" if tls else "http": ports["nginx"]},
            lambda: probes.tcp(ports["nginx"]),
            stop_signal="QUIT",
        )
    )
    return result


def simulation(url: str, python: str) -> Part:
    """Posters and viewers at the front door."""
    command = (python, "-m", "stack.simulate", url)
    return Part("simulation", command, {}, lambda: True)


def environment(
    folder: Path, ports: Mapping[str, int], sizes: Sizes, values: Path, secrets: Mapping[str, str]
) -> dict[str, str]:
    """HOLDFAST_* for the origin and the publisher, and for who wants to work with the stack."""

    def urls(names: list[str]) -> str:
        return ",".join(f"http://127.0.0.1:{ports[name]}" for name in names)

    return {
        "HOLDFAST_REDIS_URL": f"redis://127.0.0.1:{ports['redis']}/0",
        "HOLDFAST_KAFKA": f"127.0.0.1:{ports['kafka']}",
        "HOLDFAST_VALUES": str(values),
        "HOLDFAST_GRIP_URL": urls([f"{name}.publish" for name in sizes.all_pushpins]),
        "HOLDFAST_GRIP_KEY": secrets["grip_key"],
        "HOLDFAST_PURGE_URLS": urls(sizes.names("varnish")),
        "HOLDFAST_ORIGIN_URLS": urls(origins(sizes)),
        "HOLDFAST_PUSHPIN_METRICS_URLS": urls([f"{name}.metrics" for name in sizes.all_pushpins]),
        "HOLDFAST_FASTLY_SERVICE_ID": "holdfast",
        "HOLDFAST_FASTLY_KEY": secrets["fastly_key"],
        "HOLDFAST_OPERATOR_TOKENS": f"operator:{secrets['operator_token']}",
        # Marks every process of this stack, so that `down` finds the ones that were orphaned.
        "HOLDFAST_STACK": str(folder),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(REPO), os.environ.get("PYTHONPATH")])),
    }


def _http(port: int, path: str) -> Callable[[], bool]:
    return lambda: probes.http(port, path)


def _tcp(port: int) -> Callable[[], bool]:
    return lambda: probes.tcp(port)


def _both(first: int, second: int) -> Callable[[], bool]:
    return lambda: probes.tcp(first) and probes.tcp(second)
