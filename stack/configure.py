"""Writes every part's configuration into the stack's folder."""

from __future__ import annotations

import os
import resource
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from holdfast.errors import ConfigError
from stack.certificate import Certificate
from stack.layout import LIBS, REPO, Part, Sizes, origins
from stack.render import (
    HOLD_RATE,
    PUSHPIN_PORTS,
    door,
    edge,
    pushpin,
    pushpin_sockets,
    render,
    routes,
)

# A Unix socket's path is limited to 107 bytes; Pushpin's longest socket name has 33.
LONGEST_FOLDER = 60


MOST_CONNECTIONS = 65_536  # of one nginx worker; about 400 bytes each
# Streams never end by themselves: without it nobody gets in until a restart has waited for them.
NGINX_LINGER_S = 2


def secret(folder: Path, name: str) -> str:
    """A random secret, made once for this folder and readable by its owner only."""
    file = folder / name
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(32))
    return file.read_text()


def check_folder(folder: Path) -> None:
    """ConfigError when Unix sockets below `folder` would have names that are too long."""
    if len(str(folder)) > LONGEST_FOLDER:
        raise ConfigError(
            f"{folder} is too long a path for Unix sockets (at most {LONGEST_FOLDER} characters); "
            "choose a shorter one with --dir"
        )


def write(
    folder: Path,
    ports: Mapping[str, int],
    sizes: Sizes,
    keys: Mapping[str, str],
    post_rate: int,
    certificate: Certificate | None,
    say: Callable[[str], None],
    hold_rate: int = HOLD_RATE,
) -> None:
    """Configuration of Kafka, Redis, Varnish, Pushpin and nginx; formats Kafka's storage once.

    post_rate: updates per second that nginx takes from one address; hold_rate: new holds.
    certificate: what nginx shows; None = it speaks plain HTTP.
    """
    (folder / "redis").mkdir(exist_ok=True)
    _kafka(folder / "kafka", ports, say)
    asked = [f"127.0.0.1:{ports[name]}" for name in origins(sizes)]
    probed = not sizes.functions  # a function has no health: each probe would be an invocation
    for name in sizes.names("varnish"):
        # Whatever an earlier varnishd left there can't be used again.
        shutil.rmtree(folder / name, ignore_errors=True)
        vcl = folder / name / "default.vcl"
        edge(vcl, asked, service="holdfast", key=keys["fastly_key"], probed=probed)
    varnishes = [f"127.0.0.1:{ports[name]}" for name in sizes.names("varnish")]
    for number, name in enumerate(sizes.all_pushpins):
        sockets = name in sizes.names("websocket")
        routes(folder / name / "routes", varnishes, first=number, sockets=sockets)
        numbers = {port: ports[f"{name}.{port}"] for port in PUSHPIN_PORTS if port != "http"}
        pushpin(
            folder / name,
            prefix=f"{name}-",
            sockets=sockets,
            sig_key=keys["grip_key"],
            ports={"http": ports[name], **numbers},
        )
    nginx(folder / "nginx", folder, ports, sizes, post_rate, certificate, hold_rate)


def nginx(
    target: Path,
    folder: Path,
    ports: Mapping[str, int],
    sizes: Sizes,
    post_rate: int,
    certificate: Certificate | None,
    hold_rate: int = HOLD_RATE,
) -> None:
    """Write nginx's configuration into `target`: a front door of the stack in `folder`."""
    nofile = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if nofile == resource.RLIM_INFINITY:
        nofile = 1_000_000
    door(
        target / "nginx.conf",
        pushpins=_doors(folder, sizes.names("pushpin")),
        websockets=_doors(folder, sizes.names("websocket")),
        varnishes=[f"127.0.0.1:{ports[name]}" for name in sizes.names("varnish")],
        address=f"127.0.0.1:{ports['nginx']}",
        certificate=(certificate.file, certificate.key) if certificate else None,
        connections=min(nofile, MOST_CONNECTIONS),
        nofile=nofile,
        post_rate=post_rate,
        hold_rate=hold_rate,
        linger_s=NGINX_LINGER_S,
        user="user root;" if os.geteuid() == 0 else "",
    )


def _doors(folder: Path, names: Iterable[str]) -> list[str]:
    """Pushpins as nginx finds them."""
    sockets = [socket for name in names for socket in pushpin_sockets(folder / name)]
    return [f"unix:{socket} max_fails=0" for socket in sockets]


def _kafka(folder: Path, ports: Mapping[str, int], say: Callable[[str], None]) -> None:
    if not LIBS.exists():
        raise ConfigError("Kafka's jars are missing; run scripts/setup")
    properties = folder / "server.properties"
    render(
        REPO / "stack" / "kafka" / "server.properties",
        properties,
        port=ports["kafka"],
        controller=ports["kafka.controller"],
        data=folder / "data",
    )
    if (folder / "data" / "meta.properties").exists():
        return
    say("formatting Kafka's storage")
    done = subprocess.run(
        [
            "java",
            "-cp",
            f"{LIBS}/*",
            "kafka.tools.StorageTool",
            "format",
            # In one word each: an id may begin with a dash.
            f"--cluster-id={secrets.token_urlsafe(16)}",
            f"--config={properties}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigError(f"Kafka's storage could not be formatted:\n{done.stderr[-2000:]}")


def supervisor(folder: Path, parts: Sequence[Part], python: str) -> Path:
    """supervisord's configuration: one program per part, and the listener that watches them."""
    sections = [
        "[unix_http_server]",
        f"file={folder}/supervisor.sock",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "[supervisord]",
        "nodaemon=true",
        f"pidfile={folder}/supervisord.pid",
        f"logfile={folder}/logs/supervisord.log",
        f"childlogdir={folder}/logs",
        f"directory={folder}",
        "[eventlistener:watch]",
        f"command={python} -m stack.watch {folder}",
        f"directory={REPO}",
        "events=PROCESS_STATE",
        "buffer_size=1000",
        "stdout_logfile=NONE",
        f"stderr_logfile={folder}/logs/watch.log",
    ]
    for part in parts:
        environment = ",".join(
            f'{name}="{value.replace("%", "%%")}"' for name, value in part.environment.items()
        )
        sections += [
            f"[program:{part.name}]",
            f"command={_quote(part.command)}",
            f"directory={REPO}",
            f"environment={environment}",
            "autorestart=true",
            # A part that dies before that is started again with growing pauses, then given up.
            "startsecs=3",
            "startretries=5",
            f"stopsignal={part.stop_signal}",
            "stopwaitsecs=15",
            # Pushpin and gunicorn are trees of processes: one group each, ended as one.
            f"stopasgroup={str(part.stop_group).lower()}",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={folder}/logs/{part.name}.log",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=1",
        ]
    file = folder / "supervisord.conf"
    file.write_text("\n".join(sections) + "\n")
    return file


def _quote(command: Sequence[str]) -> str:
    words = (word.replace("%", "%%").replace('"', '\\"') for word in command)
    return " ".join(f'"{word}"' for word in words)
