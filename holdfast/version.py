"""Which Holdfast this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("holdfast")
except PackageNotFoundError:  # a copy of the sources that nobody has installed
    VERSION = "unknown"
