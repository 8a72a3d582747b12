"""The settings as Redis knows them: a copy of the topic, written by publishers, read by origins.

Methods raise UnavailableError when Redis can't be asked; asking again is always safe.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import redis

from holdfast.errors import UnavailableError
from holdfast.operator_settings import Change, Setting, decode_setting
from holdfast.state import SETTINGS_KEY, available, load_script
from holdfast.tuning import Tuning

_VERSION = b"%d "  # before each record: its offset


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What Redis knows. position: of the topic; all records before it are in effect everywhere."""

    position: int
    tuning: Tuning


class SettingsMirror:
    """Writes and reads the hash `settings`."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._write = load_script(client, "settings_mirror")

    def write(self, topic_id: str, position: int, settings: Iterable[Setting]) -> int:
        """Let Redis know these, unless it knows newer ones; the position that it knows now."""
        args: list[Any] = [topic_id, position]
        for setting in settings:
            args += (setting.key, _encode(setting))
        with available():
            reply: Any = self._write(keys=[SETTINGS_KEY], args=args)
        return int(reply)

    def position(self) -> int:
        """The position that Redis knows, -1 = none."""
        with available():
            reply: Any = self._redis.hget(SETTINGS_KEY, "@position")
        return -1 if reply is None else int(reply)

    def read(self) -> Mirrored:
        """All settings. UnavailableError also while no publisher has told Redis of them."""
        with available():
            reply: Any = self._redis.hgetall(SETTINGS_KEY)
        position = reply.pop(b"@position", None)
        reply.pop(b"@topic_id", None)
        if position is None:
            raise UnavailableError("no publisher has told Redis of the settings yet")
        settings = (_decode(key, entry) for key, entry in reply.items())
        return Mirrored(int(position), Tuning(each for each in settings if each is not None))


def _encode(setting: Setting) -> bytes:
    change = Change(setting.key, setting.who, setting.at_ms, None, setting.to)
    return _VERSION % setting.version + change.encode()


def _decode(key: bytes, entry: bytes) -> Setting | None:
    version, _, record = entry.partition(b" ")
    return decode_setting(key, record, int(version))[1]
