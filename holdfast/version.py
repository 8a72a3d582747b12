"""Which Holdfast this is, also as a metric of each part."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from prometheus_client import Gauge

try:
    VERSION = version("holdfast")
except PackageNotFoundError:  # a copy of the sources that nobody has installed
    VERSION = "unknown"

_BUILD = Gauge(
    "holdfast_build_info", "1; which Holdfast this is", ["version"], multiprocess_mode="livemax"
)


def show_version() -> None:
    """From now on /metrics tells."""
    _BUILD.labels(VERSION).set(1)
