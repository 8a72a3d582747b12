"""Webhooks as operators set them: where to, of which values, signed with what.

A hook is the setting `hook:{id}` (operator_settings.py). Its version is the offset of that record,
so that enabling it again, which writes the record again, makes it another one to whoever had given
it up.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from holdfast.errors import SettingError
from holdfast.operator_settings import Setting, Thing
from holdfast.tuning import Tuning

KIND = "hook"
MOST_HOOKS = 100  # each has a thread of its own (publisher/hooks)
ID = re.compile(r"[a-z0-9]{16}")
MEMBERS = ("url", "values", "secret")

_PATTERN = re.compile(r"[A-Za-z0-9._*-]{1,64}")
# No backslash, which browsers take for a slash, and no quotes and the like that URLs escape.
_URL = re.compile(r"[!#-;=?-\[\]_a-z~]{1,2000}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9.])?")
_PORTS = {"http": 80, "https": 443}
_LEAST_PORT = 1024  # below are services that were there before HTTP, and may take it for theirs
# As the Standard Webhooks specification wants them.
_SECRET_PREFIX = "whsec_"  # noqa: S105
_LEAST_SECRET, _MOST_SECRET, _NEW_SECRET = 24, 64, 32  # bytes


@dataclass(frozen=True, slots=True)
class Target:
    """Where a hook's requests go. host: a name, or an address without brackets."""

    scheme: str
    host: str
    port: int
    path: str  # with the query

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """What the `Host` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True)
class Hook:
    """A webhook. values: the name of one, or a glob in which each `*` is any characters."""

    id: str
    url: str = field(repr=False)  # some receivers keep their secrets there
    values: str
    secret: str = field(repr=False)
    version: int
    who: str
    at_ms: int

    @cached_property
    def target(self) -> Target:
        return target_of(self.url)

    @cached_property
    def _glob(self) -> re.Pattern[str]:
        return re.compile(".*".join(re.escape(part) for part in self.values.split("*")))

    def wants(self, name: str) -> bool:
        """Whether releases of the value go there."""
        return self._glob.fullmatch(name) is not None


def new_id() -> str:
    """One that no other hook has."""
    return secrets.token_hex(8)


def new_secret() -> str:
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_NEW_SECRET)).decode()


def hook_of(setting: Setting) -> Hook | None:
    """The hook that was set; None when it is none, or none that makes sense."""
    if setting.kind != KIND or not ID.fullmatch(setting.name):
        return None
    try:
        checked = check_hook(setting.to)
    except SettingError:
        return None
    return Hook(
        id=setting.name,
        version=setting.version,
        who=setting.who,
        at_ms=setting.at_ms,
        **checked,
    )


def hooks_of(tuning: Tuning) -> Mapping[str, Hook]:
    """All hooks by their ids."""
    found = (hook_of(setting) for setting in tuning)
    return {hook.id: hook for hook in found if hook is not None}


def check_hook(thing: Thing) -> dict[str, str]:
    """url, values and secret of a hook. Raises SettingError: 422; it never shows the secret."""
    for key in thing:
        if key not in MEMBERS:
            raise SettingError(422, f"unknown member {key}; there are: {', '.join(MEMBERS)}")
    found = {key: _text(thing, key) for key in MEMBERS}
    target_of(found["url"])
    if not _PATTERN.fullmatch(found["values"]):
        raise SettingError(422, "values must be a value's name, or a glob like price.*")
    encoded = found["secret"].removeprefix(_SECRET_PREFIX)
    try:
        size = len(base64.b64decode(encoded, validate=True))
    except binascii.Error:
        size = 0
    if encoded == found["secret"] or not _LEAST_SECRET <= size <= _MOST_SECRET:
        raise SettingError(
            422,
            f"secret must be {_SECRET_PREFIX} and {_LEAST_SECRET} to {_MOST_SECRET} bytes in "
            "base64; leave it out, and one is made",
        )
    return found


def target_of(url: str) -> Target:
    """Where a URL leads, by one reading only. Raises SettingError: 422."""
    if not _URL.fullmatch(url):
        raise SettingError(422, "url must be an absolute one, in ASCII, of at most 2000 characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise SettingError(422, "url can't be read") from None
    if parts.scheme not in _PORTS:
        raise SettingError(422, "url must begin with https://, or with http:// if permitted")
    if "@" in parts.netloc:
        raise SettingError(422, "url must not hold a user or a password")
    if "#" in url:
        raise SettingError(422, "url must not have a fragment")
    if not _is_host(host) or ("[" in parts.netloc) != (":" in host):
        raise SettingError(422, "url names no host; write names that are not ASCII as xn--...")
    usual = _PORTS[parts.scheme]
    port = usual if port is None else port
    if port not in _PORTS.values() and port < _LEAST_PORT:
        raise SettingError(422, f"url's port must be 80, 443, or {_LEAST_PORT} and above")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path)


def _is_host(host: str) -> bool:
    if ":" not in host:
        return _HOST.fullmatch(host) is not None
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False


def _text(thing: Mapping[str, Any], key: str) -> str:
    value = thing.get(key)
    if not isinstance(value, str):
        raise SettingError(422, f"{key} must be a string")
    return value
