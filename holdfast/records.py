"""What Kafka's client says of a record, without what it can't say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def headers(message: Any) -> Sequence[tuple[str, bytes | None]]:
    """A message's headers; none where a name is not UTF-8, which anybody may write.

    Ask once a message: where confluent-kafka could not decode a name it keeps a list with a hole,
    and asking again gives that.
    """
    try:
        return message.headers() or ()
    except (SystemError, UnicodeDecodeError):  # the former around the latter, as it is today
        return ()
