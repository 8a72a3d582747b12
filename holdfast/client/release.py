"""What a server says: a release of a value, an update that it took."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Release:
    """A value at one version (docs/contract.md, "A snapshot").

    version, prev: increasing; 0 = none. released_at: RFC 3339, None before the first release.
    """

    name: str
    value: Any
    version: int
    prev: int
    released_at: str | None

    @classmethod
    def parse(cls, text: str) -> Release:
        """From JSON. Raises ValueError for anything else."""
        found = json.loads(text)
        try:
            return cls(*(found[field] for field in cls.__slots__))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no snapshot: {text[:200]}") from error


@dataclass(frozen=True, slots=True)
class Accepted:
    """Where an update lies in Kafka: it is not lost any more."""

    name: str
    topic: str
    partition: int
    offset: int
