"""What one screen may show: versions that only grow, without a gap, each with its own id."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sse import Event


class Violation(Exception):
    """The service broke a promise. Without versions: every message of its own would be a row of
    locust's report.
    """


@dataclass
class Screen:
    """One viewer's screen over all its connections. version: None before the first event.

    gaps: whether a release that was skipped is a fault. The contract allows it, but at a rate that
    the service can keep there is no reason for one.
    """

    gaps: bool = True
    version: int | None = None
    value: Any = None
    released_at: str | None = None

    def take(self, event: Event, *, live: bool, returning: bool) -> Violation | None:
        """Show what came; what is wrong with it. live: not the first event of its connection.

        returning: the viewer said which version it has. Raises ValueError when it is no snapshot.
        """
        if event.event == "reset":
            self.version = None
            return Violation("reset after an id that the service gave") if returning else None
        snapshot = json.loads(event.data)
        if not isinstance(snapshot, dict) or not {"version", "prev", "value"} <= set(snapshot):
            raise ValueError("no snapshot")
        version, before = snapshot["version"], self.version
        fault = self._fault(event.id, version, snapshot["prev"], before, live=live)
        self.version = version if before is None else max(before, version)
        self.value, self.released_at = snapshot["value"], snapshot.get("released_at")
        return fault

    def _fault(
        self, id: str, version: int, prev: int, before: int | None, *, live: bool
    ) -> Violation | None:
        if str(version) != id:
            return Violation("the id is not the version")
        if before is None:
            return None
        if version == before:
            return Violation("the same version again")
        if version < before:
            return Violation("a version that is not newer than the one before")
        if live and self.gaps and prev != before:
            return Violation("a gap: a release was skipped")
        return None
