"""What the doctor finds, and where it looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from holdfast.config import Settings
from holdfast.values import Values


class Verdict(StrEnum):
    """warn: works, but not for ever or not for everybody. skip: could not be looked at."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. part: of Holdfast. advice: what to do; "" where all is well."""

    part: str
    verdict: Verdict
    detail: str
    advice: str = ""


def ok(part: str, detail: str) -> Finding:
    return Finding(part, Verdict.OK, detail)


def warn(part: str, detail: str, advice: str) -> Finding:
    return Finding(part, Verdict.WARN, detail, advice)


def fail(part: str, detail: str, advice: str) -> Finding:
    return Finding(part, Verdict.FAIL, detail, advice)


def skip(part: str, detail: str) -> Finding:
    return Finding(part, Verdict.SKIP, detail)


@dataclass(frozen=True, slots=True)
class Site:
    """One deployment. url: its front door, None = not looked at. ca: what its certificate is
    checked by. publishers, relays: where their /metrics are. pids: of parts on this machine.
    """

    settings: Settings
    values: Values
    url: str | None = None
    ca: str | None = None
    publishers: Sequence[str] = ()
    relays: Sequence[str] = ()
    pids: Mapping[str, int] = field(default_factory=dict)
