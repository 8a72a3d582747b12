"""A release as a webhook's request: the body and the headers of Standard Webhooks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
from standardwebhooks import Webhook

from holdfast.hooks import Hook
from holdfast.snapshots import Snapshot

TYPE = "value.released"


@dataclass(frozen=True, slots=True)
class Message:
    """headers: those of the scheme. body: JSON."""

    headers: dict[str, str]
    body: bytes


def message(hook: Hook, snapshot: Snapshot, at_s: float) -> Message:
    """The request of an attempt at `at_s`, s since 1970.

    At each attempt the same release has the same id and body; the time and the signature differ.
    """
    body = msgspec.json.encode(
        {"type": TYPE, "timestamp": snapshot.released_at, "data": msgspec.Raw(snapshot.encode())}
    )
    message_id, timestamp = message_id_of(hook.id, snapshot), int(at_s)
    signature = Webhook(hook.secret).sign(
        message_id, datetime.fromtimestamp(timestamp, UTC), body.decode()
    )
    return Message(
        {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature,
        },
        body,
    )


def message_id_of(hook_id: str, snapshot: Snapshot) -> str:
    """What is said of this release to this hook. Without a dot, which separates what is signed."""
    text = f"{hook_id} {snapshot.name} {snapshot.version}"
    return f"msg_{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"
