"""NDJSON: one JSON text a line (github.com/ndjson/ndjson-spec). A blank line is a heartbeat."""

from __future__ import annotations

import msgspec

from holdfast.snapshots import Snapshot

COMMENT = b"\n"


def release(snapshot: Snapshot) -> bytes:
    """A release as a line: its snapshot. Compact JSON holds no line end of its own."""
    return snapshot.encode() + b"\n"


def reset(reason: str) -> bytes:
    """Tells a client that what it has seen doesn't lead to the line that comes next."""
    return msgspec.json.encode({"reset": {"reason": reason}}) + b"\n"
