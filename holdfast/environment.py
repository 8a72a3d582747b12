"""Reads HOLDFAST_* variables: which setting each is, secrets from files, and what is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from holdfast import kafka

PREFIX = "HOLDFAST_"
FILE = "_FILE"
# Not settings: the mark of a stack's processes, and what the tests are told.
_OTHERS = {"HOLDFAST_STACK", "HOLDFAST_SEEDS"}


@dataclass(slots=True)
class Found:
    """What the environment says.

    values: by setting. kafka: by librdkafka's name. sources: which variable decided, by the
    variable of the setting. unknown: variables that are no setting. faults: one line each.
    """

    values: dict[str, str] = field(default_factory=dict)
    kafka: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def read(environ: Mapping[str, str], names: Collection[str], secrets: Collection[str]) -> Found:
    """Sort the variables of `environ`. names: of the settings; secrets: those that may hold one,
    which `<NAME>_FILE` may name a file for.
    """
    found = Found()
    known = {variable(name): name for name in names}
    files = {variable(name) + FILE: name for name in secrets}
    for key, value in environ.items():
        if not key.startswith(PREFIX) or key in _OTHERS:
            continue
        if key in known:
            # What is empty may come from a file.
            if value or key + FILE not in files or not environ.get(key + FILE):
                found.values[known[key]] = value
                found.sources[key] = key
        elif key in files:
            text = _secret(key, environ, found)
            if text is not None:
                found.values[files[key]] = text
        elif key.startswith(kafka.PREFIX):
            _kafka(key, environ, found)
        else:
            found.unknown.append(key)
    return found


def hints(unknown: Collection[str], names: Collection[str]) -> list[str]:
    """A line for each variable that is no setting, perhaps with the one that was meant."""
    lines = []
    for key in unknown:
        name = key.removeprefix(PREFIX).lower()
        close = difflib.get_close_matches(name, names, 1, 0.7)
        lines.append(f"{key} is not a setting" + (f"; {variable(close[0])} is" if close else ""))
    return lines


def _kafka(key: str, environ: Mapping[str, str], found: Found) -> None:
    """Any setting of librdkafka; an empty one is none."""
    name = kafka.setting(key)
    if not environ[key]:
        return
    if not key.endswith(FILE) or name in kafka.FILES:
        found.kafka[name] = environ[key]
        found.sources[key] = key
        return
    text = _secret(key, environ, found)
    if text is not None:
        found.kafka[kafka.setting(key.removesuffix(FILE))] = text


def _secret(key: str, environ: Mapping[str, str], found: Found) -> str | None:
    """What the file holds that `key` names, None when it names none or the file is at fault.

    A fault says neither content nor path: the path may be a secret in the wrong variable.
    """
    plain = key.removesuffix(FILE)
    if not environ[key]:
        return None
    if environ.get(plain):
        found.faults.append(f"{key}: {plain} is set, too; one of them has to go")
        return None
    try:
        text = Path(environ[key]).read_text(encoding="utf-8")
    except OSError as error:
        found.faults.append(f"{key}: the file can't be read: {error.strerror}")
        return None
    except ValueError:  # not UTF-8, or no path at all
        found.faults.append(f"{key}: the file is not text")
        return None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        found.faults.append(f"{key}: the file is empty")
        return None
    found.sources[plain] = key
    return text
