"""What a client says that it has seen."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

from holdfast.snapshots import Snapshot


@dataclass(frozen=True, slots=True)
class After:
    """What the client says it has seen. version: None = nothing; fault: why it leads nowhere."""

    version: int | None = None
    fault: str | None = None

    @classmethod
    def of_request(cls) -> After:
        """`?after=`; the edge puts a Last-Event-ID there. A header that is not in the cache
        key must not change what everybody gets.

        `unknown` is what the edge makes of an id that is newer than its copy (fastly/after.vcl).
        """
        text = request.args.get("after")
        if not text:
            return cls()
        if text == "unknown":
            return cls(fault="unknown id")
        if text.isascii() and text.isdigit() and len(text) <= 18:
            return cls(int(text))
        return cls(fault="unreadable id")

    def reset_reason(self, snapshot: Snapshot) -> str | None:
        """Why what the client has seen doesn't lead to `snapshot`; None when it does."""
        if self.version is not None and self.version > snapshot.version:
            return "unknown id"
        return self.fault

    def seen(self, snapshot: Snapshot) -> bool:
        """Whether the client has this very version."""
        return self.version == snapshot.version
