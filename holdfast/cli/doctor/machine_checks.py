"""This machine: open files, and which programs there are."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from holdfast.cli.doctor.findings import Finding, Site, ok, skip, warn

PART = "machine"
# A held stream takes one file in Pushpin and two in nginx.
FILES = 65_536
HOLDERS = ("nginx", "pushpin", "websocket", "varnish")
# Those that tests run with, and how they say which they are.
PROGRAMS = {
    "pushpin": (("pushpin", "--version"), "1.36"),
    "varnishd": (("varnishd", "-V"), "7.1"),
    "nginx": (("nginx", "-v"), "1.22"),
}


def check_machine(site: Site) -> Iterator[Finding]:
    if not site.pids:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        yield _files(PART, soft)
    for part, pid in site.pids.items():
        if part.startswith(HOLDERS):
            soft_limit = _limit(pid)
            if soft_limit is None:
                yield skip(part, "its limits can't be read")
            else:
                yield _files(part, soft_limit)
    for name, (command, tested) in PROGRAMS.items():
        if shutil.which(name) is not None:
            yield _program(name, command, tested)


def _limit(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    except OSError:
        return None
    words = next(line for line in lines if line.startswith("Max open files")).split()
    return resource.RLIM_INFINITY if words[3] == "unlimited" else int(words[3])


def _files(part: str, soft: int) -> Finding:
    if soft != resource.RLIM_INFINITY and soft < FILES:
        return warn(
            part,
            f"may open {soft} files",
            f"raise it to {FILES} (LimitNOFILE= in systemd, ulimit -n): two for each stream",
        )
    return ok(part, f"may open {'any number of' if soft < 0 else soft} files")


def _program(name: str, command: tuple[str, ...], tested: str) -> Finding:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return skip(name, f"does not say its version: {error}")
    said = (done.stdout + done.stderr).strip().splitlines()
    line = said[0][:80] if said else "nothing"
    if tested not in line:
        return warn(name, line, f"Holdfast is tested with {tested}")
    return ok(name, line)
