"""The machine's facts: figures mean nothing without them."""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
from pathlib import Path

_VERSIONS = {
    "Pushpin": ("pushpin", "--version"),
    "Varnish": ("varnishd", "-V"),
    "nginx": ("nginx", "-v"),
    "Redis": ("redis-server", "--version"),
    "Java": ("java", "-version"),
}


def facts() -> str:
    """Processor, memory, kernel, limits and versions, in two lines."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    versions = [f"{name} {_version(command)}" for name, command in _VERSIONS.items()]
    return (
        f"{os.cpu_count()} cores of {_processor()}, {memory:.0f} GB, Linux {platform.release()}, "
        f"{files} open files\n"
        f"Python {platform.python_version()}, {', '.join(versions)}"
    )


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _version(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except FileNotFoundError:
        return "(missing)"
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "?"
