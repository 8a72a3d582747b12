"""What operators set, as it stands in Kafka: the topics, their keys and their records.

The newest record of a key is what holds; a tombstone means that nothing is set. Keys are
`<kind>:<name>`, or a kind alone. A reader keeps kinds that it doesn't know, so that new ones need
no new topic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from holdfast.moments import rfc3339

TOPIC = "settings"  # compacted, one partition: its offsets are versions
AUDIT_TOPIC = "settings.audit"  # every change, in the same transaction as the change itself

KEY = re.compile(r"[a-z]{1,16}(:[A-Za-z0-9._*-]{1,128})?")

Thing = Mapping[str, Any]

SECRET = "secret"  # noqa: S105 - the member of a thing that the audit never shows
MASK = "***"


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds of a key. version: its record's offset. at_ms: since 1970, the writer's clock."""

    key: str
    version: int
    who: str
    at_ms: int
    to: Thing

    @property
    def kind(self) -> str:
        return self.key.partition(":")[0]

    @property
    def name(self) -> str:
        return self.key.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a key, as the audit keeps it. None: nothing was, or is, set."""

    key: str
    who: str
    at_ms: int
    before: Thing | None
    after: Thing | None

    @property
    def masked(self) -> Change:
        """The same without secrets: what was before, and what the audit keeps for ever."""
        return replace(self, before=masked(self.before), after=masked(self.after))

    def encode(self) -> bytes:
        """Its record, as `settings` and the audit have it."""
        return msgspec.json.encode(
            {
                "key": self.key,
                "who": self.who,
                "at": rfc3339(self.at_ms),
                "from": self.before,
                "to": self.after,
            }
        )


def masked(thing: Thing | None) -> Thing | None:
    """What may be shown of it."""
    return thing if thing is None or SECRET not in thing else {**thing, SECRET: MASK}


class _Record(msgspec.Struct):
    key: str
    who: str
    at: datetime
    to: dict[str, Any] | None
    before: dict[str, Any] | None = msgspec.field(default=None, name="from")


_RECORD = msgspec.json.Decoder(_Record)


def decode_change(value: bytes | None) -> Change | None:
    """A record of the audit, or of a setting; None when it is none."""
    try:
        record = _RECORD.decode(value or b"")
    except msgspec.DecodeError:
        return None
    if not KEY.fullmatch(record.key):
        return None
    at_ms = round(record.at.timestamp() * 1000)
    return Change(record.key, record.who, at_ms, record.before, record.to)


def decode_setting(
    key: bytes | None, value: bytes | None, offset: int
) -> tuple[str, Setting | None]:
    """The key of a record in `settings`, and what holds from then on.

    None: nothing. A record that is malformed says nothing either: whoever reads it after the topic
    was compacted can't know what was before.
    """
    text = (key or b"").decode(errors="replace")
    change = decode_change(value)
    if change is None or change.key != text or change.after is None:
        return text, None
    return text, Setting(text, offset, change.who, change.at_ms, change.after)
