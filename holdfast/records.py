"""What confluent-kafka can't read of a record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def headers(message: Any) -> Sequence[tuple[str, bytes | None]]:
    """The record's headers; none when a name is not UTF-8, at which the client itself fails."""
    try:
        return message.headers() or ()
    except SystemError:
        return ()
