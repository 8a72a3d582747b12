"""Snapshots: the published view of a value at one version."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from holdfast.moments import rfc3339
from holdfast.values import Reduce

EMPTY: dict[Reduce, bytes] = {"sum": b"0", "latest": b"null"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One release of one value.

    json: the value as compact JSON; version, prev: milliseconds-like, increasing, 0 = none;
    released_at_ms: Redis time of the release in ms since 1970, 0 = never released.
    """

    name: str
    json: bytes
    version: int = 0
    prev: int = 0
    released_at_ms: int = 0

    @classmethod
    def unreleased(cls, name: str, reduce: Reduce) -> Snapshot:
        """A configured value before its first release: version 0."""
        return cls(name=name, json=EMPTY[reduce])

    @property
    def released_at(self) -> str | None:
        """RFC 3339 in UTC with milliseconds, None before the first release."""
        if not self.released_at_ms:
            return None
        return rfc3339(self.released_at_ms)

    def encode(self) -> bytes:
        """The snapshot as one line of JSON: what every transport carries."""
        return msgspec.json.encode(
            {
                "name": self.name,
                "value": msgspec.Raw(self.json),
                "version": self.version,
                "prev": self.prev,
                "released_at": self.released_at,
            }
        )
