"""Where to read a partition from, and what to do when its log and Redis don't fit together."""

from __future__ import annotations

from holdfast.errors import LogStartError
from holdfast.state import Partition


def start_offset(partition: Partition, known: int | None, low: int, high: int) -> int:
    """Where to read on: `known` is Redis's next offset, low and high are the log's watermarks.

    Raises LogStartError when the log and Redis can't belong together, so that reading on would
    skip updates without a word.
    """
    where = f"{partition.topic}[{partition.number}]"
    repair = (
        f"If that loss is acceptable, accept what is left with: "
        f"holdfast accept-log {partition.topic} {partition.number}"
    )
    if known is None:
        if low > 0:
            raise LogStartError(
                f"{where} starts at offset {low} and Redis has no state for what came before. "
                + repair
            )
        return 0
    if known < low:
        raise LogStartError(
            f"{where} starts at offset {low}, but only what lies below {known} is applied. "
            + repair
        )
    if known > high:
        raise LogStartError(
            f"{where} ends at offset {high}, but {known} were applied: the topic was re-created. "
            + repair
        )
    return known
