"""Fills in the templates of the edge, of Pushpin and of nginx: for the demo and containers alike.

Imports nothing but Python's own library: the images of those parts have no more. An address is
"host:port", an IPv6 host in brackets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template

REPO = Path(__file__).resolve().parent.parent

# More than the open files allow: it sizes condure's queues too. At 20,000 a storm of 5,000 viewers
# left 1 to 15 of them with streams that nothing reached, at 200,000 none. About 250 MB.
PUSHPIN_MAXCONN = 200_000
# The cure for storms of streams. Open WebSockets count against it: none for those (nginx paces).
PUSHPIN_OPEN_REQUESTS = 100
PUSHPIN_BUFFER = 8192  # bytes, of one connection
PUSHPIN_SUBSCRIPTIONS = 20  # of one stream
# What a WebSocket is sent beyond this, before any of it is on its way, Pushpin drops until the next
# confirm: releases of 100 values at once fit. Memory is taken as it is used.
SOCKET_BUFFER = 16_384
SOCKET_SUBSCRIPTIONS = 100  # MAX_SUBSCRIPTIONS in holdfast/messages.py
# New holds per second that nginx takes from one address, where nobody says otherwise.
HOLD_RATE = 5000
HANDSHAKE_RATE = 300  # of WebSockets, per second, at one nginx
HANDSHAKE_QUEUE = 10_000  # that wait for their turn; beyond it 429
PUSHPIN_PORTS = ("http", "publish", "push", "sub", "command", "metrics")


def render(source: Path, target: Path, **values: object) -> None:
    """Fill in the template `source`; a placeholder without a value is an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    text = Template(source.read_text()).substitute(values)
    # Pushpin reads its routes again whenever they change: never half of them.
    new = target.with_name(f"{target.name}.new")
    new.write_text(text)
    new.replace(target)


def edge(
    target: Path, origins: Sequence[str], *, service: str, key: str, probed: bool = True
) -> None:
    """The wiring of one Varnish. key: what Fastly-Key must be. service: the id in purge URLs.

    probed: an origin is found sick before anybody has to ask it.
    """
    numbers = range(1, len(origins) + 1)
    render(
        REPO / "fastly" / "default.vcl",
        target,
        edge=REPO / "fastly" / "edge.vcl",
        probe=f'include "{REPO}/fastly/probe.vcl";' if probed else "",
        backends="\n".join(_backends(origins, ".probe = ready;" if probed else "")),
        directors="\n".join(
            f"    origins.add_backend(origin_{number});\n"
            f"    any_origin.add_backend(origin_{number}_unprobed);"
            for number in numbers
        ),
        service=service,
        key=key,
    )


def _backends(origins: Sequence[str], probe: str) -> Iterable[str]:
    def backend(name: str, host: str, port: str, probe: str) -> str:
        return (
            f'backend {name} {{ .host = "{host}"; .port = "{port}"; {probe}\n'
            "    .connect_timeout = 1s; .first_byte_timeout = 10s; .between_bytes_timeout = 10s; }"
        )

    for number, address in enumerate(origins, 1):
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        yield backend(f"origin_{number}", host, port, probe)
        yield backend(f"origin_{number}_unprobed", host, port, "")


def routes(
    target: Path, varnishes: Sequence[str], *, first: int = 0, sockets: bool = False
) -> None:
    """Where a Pushpin asks: Pushpin 1.36 uses the first Varnish that takes connections.

    first: which one that is, modulo their number; another for each Pushpin. sockets: it serves
    WebSockets, whose events become requests.
    """
    begin = first % len(varnishes)
    targets = [*varnishes[begin:], *varnishes[:begin]]
    option = ",over_http" if sockets else ""
    render(
        REPO / "pushpin" / "routes",
        target,
        targets=" ".join(address + option for address in targets),
    )


def pushpin(
    folder: Path,
    *,
    prefix: str,
    sig_key: str,
    ports: Mapping[str, int],
    host: str = "127.0.0.1",
    sockets: bool = False,
) -> None:
    """pushpin.conf of one Pushpin, with its sockets and logs in `folder`, and its `routes` there.

    prefix: of its sockets' names. sig_key: what it signs requests with. ports: "http", "publish",
    "metrics", which listen on `host`, and "push", "sub", "command", which are its own. sockets: it
    serves WebSockets, not streams.
    """
    for part in ("run", "log"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    render(
        REPO / "pushpin" / "pushpin.conf",
        folder / "pushpin.conf",
        prefix=prefix,
        host=host,
        run=folder / "run",
        log=folder / "log",
        routes=folder / "routes",
        maxconn=PUSHPIN_MAXCONN,
        open_requests=-1 if sockets else PUSHPIN_OPEN_REQUESTS,
        subscriptions=SOCKET_SUBSCRIPTIONS if sockets else PUSHPIN_SUBSCRIPTIONS,
        buffer=SOCKET_BUFFER if sockets else PUSHPIN_BUFFER,
        sig_key=sig_key,
        sockets=",".join(str(it).replace("http-", "starting-") for it in pushpin_sockets(folder)),
        **{f"{name}_port": ports[name] for name in PUSHPIN_PORTS},
    )


def pushpin_sockets(folder: Path) -> list[Path]:
    """Where a Pushpin takes connections from nginx on the same machine (stack/gate.py).

    Several, since each has its own queue of connections that nobody has accepted yet, of 1,024: one
    refused 1,883 of 5,000 viewers in a storm.
    """
    return [folder / "run" / f"http-{number}" for number in range(1, 9)]


def door(
    target: Path,
    *,
    pushpins: Iterable[str],
    websockets: Iterable[str],
    varnishes: Iterable[str],
    address: str,
    connections: int,
    nofile: int,
    post_rate: int,
    hold_rate: int = HOLD_RATE,
    workers: str = "auto",
    linger_s: int,
    certificate: tuple[Path, Path] | None = None,
    user: str = "",
) -> None:
    """nginx, with its own files beside `target`.

    pushpins, websockets (the Pushpins that serve those), varnishes: `server` directives' arguments.
    connections, nofile: of one worker. post_rate: updates per second that it takes from one
    address; hold_rate: new holds likewise. linger_s: how long the workers of before a reload, or of
    an nginx that is to stop, go on serving the streams that they have.
    certificate: what it shows, and its key, PEM; None = it speaks plain HTTP.
    """
    if certificate:
        render(
            REPO / "stack" / "nginx" / "tls.conf",
            target.with_name("tls.conf"),
            certificate=certificate[0],
            key=certificate[1],
        )
    render(
        REPO / "stack" / "nginx" / "nginx.conf",
        target,
        folder=target.parent,
        address=address,
        protocol="ssl http2 " if certificate else "",
        tls=f"include {target.with_name('tls.conf')};" if certificate else "",
        workers=workers,
        linger=f"{linger_s}s",
        nofile=nofile,
        post_rate=post_rate,
        post_burst=2 * post_rate,
        hold_rate=hold_rate,
        hold_burst=2 * hold_rate,
        handshake_rate=HANDSHAKE_RATE,
        handshake_burst=HANDSHAKE_QUEUE,
        connections=connections,
        user=user,
        pushpins=_servers(pushpins),
        websockets=_servers(websockets),
        varnishes=_servers(varnishes),
    )


def _servers(servers: Iterable[str]) -> str:
    return "\n".join(f"        server {server};" for server in servers)
