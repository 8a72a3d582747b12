"""How Varnish and its exporter, Pushpin and nginx are started: by the demo and in containers alike.

Imports nothing but Python's own library, as render.py.
"""

from __future__ import annotations

from pathlib import Path

_VARNISH_PARAMETERS = (
    # 256 keys of 70 bytes in one Surrogate-Key header
    "http_req_hdr_len=32k",
    "http_req_size=64k",
    "http_resp_hdr_len=32k",
    "http_resp_size=64k",
    "workspace_client=256k",
    "workspace_backend=256k",
    # A stale copy, a purge meanwhile, a returning viewer: a restart for each.
    "max_restarts=8",
)


def varnishd(folder: Path, address: str, *, memory: str = "64m") -> tuple[str, ...]:
    """Serves `address` with the VCL in `folder`. memory: for what it keeps, as varnishd takes it.

    -j none: it runs everything as the user who started it.
    """
    vcl, work = str(folder / "default.vcl"), str(folder / "work")
    parameters = [word for parameter in _VARNISH_PARAMETERS for word in ("-p", parameter)]
    return (
        *("varnishd", "-F", "-j", "none", "-a", address, "-f", vcl, "-n", work),
        *("-s", f"malloc,{memory}", *parameters),
    )


def varnish_exporter(folder: Path, address: str) -> tuple[str, ...]:
    """Serves at `address`/metrics what the varnishd in `folder` counts, in Prometheus's format."""
    work = str(folder / "work")
    return ("prometheus-varnish-exporter", "-web.listen-address", address, "-n", work)


def pushpin(folder: Path) -> tuple[str, ...]:
    return ("pushpin", f"--config={folder / 'pushpin.conf'}")


def nginx(folder: Path) -> tuple[str, ...]:
    conf = str(folder / "nginx.conf")
    return ("nginx", "-p", str(folder), "-c", conf, "-e", "stderr", "-g", "daemon off;")
