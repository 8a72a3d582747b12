"""Writes every part's configuration into the stack's folder."""

from __future__ import annotations

import os
import resource
import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template

from holdfast.errors import ConfigError
from holdfast.messages import MAX_SUBSCRIPTIONS
from stack.layout import LIBS, REPO, Part, Sizes

# A Unix socket's path is limited to 107 bytes; Pushpin's longest socket name has 33.
LONGEST_FOLDER = 60


# More than the open files allow: it sizes condure's queues too. At 20,000 a storm of 5,000 viewers
# left 1 to 15 of them with streams that nothing reached, at 200,000 none. About 250 MB.
PUSHPIN_MAXCONN = 200_000
# The cure for storms of streams. Open WebSockets count against it: none for those (nginx paces).
PUSHPIN_OPEN_REQUESTS = 100
PUSHPIN_SUBSCRIPTIONS = 20  # of one stream
HANDSHAKE_RATE = 300  # of WebSockets, per second
HANDSHAKE_QUEUE = 10_000  # that wait for their turn; beyond it 429
MOST_CONNECTIONS = 65_536  # of one nginx worker; about 400 bytes each


def render(source: Path, target: Path, **values: object) -> None:
    """Fill in the template `source`; a placeholder without a value is an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(Template(source.read_text()).substitute(values))


def secret(folder: Path, name: str) -> str:
    """A random secret, made once for this folder and readable by its owner only."""
    file = folder / name
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(32))
    return file.read_text()


def pushpin_socket(folder: Path, name: str) -> Path:
    """Where a Pushpin takes connections from nginx."""
    return folder / name / "run" / "http"


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
    say: Callable[[str], None],
) -> None:
    """Configuration of Kafka, Redis, Varnish, Pushpin and nginx; formats Kafka's storage once.

    post_rate: updates per second that nginx takes from one address.
    """
    nofile = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if nofile == resource.RLIM_INFINITY:
        nofile = 1_000_000
    (folder / "redis").mkdir(exist_ok=True)
    _kafka(folder / "kafka", ports, say)
    origins = [ports[name] for name in sizes.names("origin")]
    for name in sizes.names("varnish"):
        # Whatever an earlier varnishd left there can't be used again.
        shutil.rmtree(folder / name, ignore_errors=True)
        render(
            REPO / "fastly" / "default.vcl",
            folder / name / "default.vcl",
            edge=REPO / "fastly" / "edge.vcl",
            backends=_backends(origins),
            directors="\n".join(
                f"    origins.add_backend(origin_{number});\n"
                f"    any_origin.add_backend(origin_{number}_unprobed);"
                for number in range(1, len(origins) + 1)
            ),
            service="holdfast",
            key=keys["fastly_key"],
        )
    varnishes = [f"127.0.0.1:{ports[name]}" for name in sizes.names("varnish")]
    for name in sizes.all_pushpins:
        for part in ("run", "log"):
            (folder / name / part).mkdir(parents=True, exist_ok=True)
        sockets = name in sizes.names("websocket")
        option = ",over_http" if sockets else ""
        render(
            REPO / "pushpin" / "routes",
            folder / name / "routes",
            targets=" ".join(address + option for address in varnishes),
        )
        render(
            REPO / "pushpin" / "pushpin.conf",
            folder / name / "pushpin.conf",
            name=name,
            run=folder / name / "run",
            log=folder / name / "log",
            routes=folder / name / "routes",
            maxconn=PUSHPIN_MAXCONN,
            open_requests=-1 if sockets else PUSHPIN_OPEN_REQUESTS,
            subscriptions=MAX_SUBSCRIPTIONS if sockets else PUSHPIN_SUBSCRIPTIONS,
            sig_key=keys["grip_key"],
            http_port=ports[name],
            socket=pushpin_socket(folder, name),
            publish_port=ports[f"{name}.publish"],
            push_port=ports[f"{name}.push"],
            sub_port=ports[f"{name}.sub"],
            command_port=ports[f"{name}.command"],
            metrics_port=ports[f"{name}.metrics"],
        )
    render(
        REPO / "stack" / "nginx" / "nginx.conf",
        folder / "nginx" / "nginx.conf",
        folder=folder / "nginx",
        port=ports["nginx"],
        nofile=nofile,
        post_rate=post_rate,
        post_burst=2 * post_rate,
        handshake_rate=HANDSHAKE_RATE,
        handshake_burst=HANDSHAKE_QUEUE,
        connections=min(nofile, MOST_CONNECTIONS),
        user="user root;" if os.geteuid() == 0 else "",
        pushpins="\n".join(
            f"        server unix:{pushpin_socket(folder, name)} max_fails=0;\n"
            f"        server 127.0.0.1:{ports[name]} max_fails=0 backup;"
            for name in sizes.names("pushpin")
        ),
        websockets="\n".join(
            f"        server unix:{pushpin_socket(folder, name)} max_fails=0;\n"
            f"        server 127.0.0.1:{ports[name]} max_fails=0 backup;"
            for name in sizes.names("websocket")
        ),
        varnishes="\n".join(f"        server {address};" for address in varnishes),
    )


def _backends(origins: Sequence[int]) -> str:
    def backend(name: str, port: int, probe: str) -> str:
        return (
            f'backend {name} {{ .host = "127.0.0.1"; .port = "{port}"; {probe}\n'
            "    .connect_timeout = 1s; .first_byte_timeout = 10s; .between_bytes_timeout = 10s; }"
        )

    return "\n".join(
        f"{backend(f'origin_{number}', port, '.probe = ready;')}\n"
        f"{backend(f'origin_{number}_unprobed', port, '')}"
        for number, port in enumerate(origins, 1)
    )


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
