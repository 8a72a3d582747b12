"""Where to read a partition from, and what to do when its log and Redis don't fit together."""

from __future__ import annotations

from holdfast.errors import LogStartError
from holdfast.logs import Log
from holdfast.state import Known, Partition


def start_offset(partition: Partition, known: Known, log: Log) -> int:
    """Where to read on, by what Redis knows of the partition.

    Raises LogStartError when the log and Redis can't belong together, so that reading on would
    skip updates without a word.
    """
    where = f"{partition.topic}[{partition.number}]"
    repair = (
        f"If that loss is acceptable, accept what is left with: "
        f"holdfast accept-log {partition.topic} {partition.number}"
    )
    if known.topic_id not in (None, log.topic_id):
        raise LogStartError(
            f"{where} is not the log that Redis knows, up to offset {known.offset or 0}: the topic "
            f"was re-created, and now has offsets {log.low} to {log.high}. " + repair
        )
    if known.offset is None:
        if log.low > 0:
            raise LogStartError(
                f"{where} starts at offset {log.low} and Redis has no state for what came before. "
                + repair
            )
        return 0
    if known.offset < log.low:
        raise LogStartError(
            f"{where} starts at offset {log.low}, but only what lies below {known.offset} is "
            "applied. " + repair
        )
    if known.offset > log.high:
        raise LogStartError(
            f"{where} ends at offset {log.high}, but {known.offset} were applied: the topic was "
            "re-created, or Kafka lost records. " + repair
        )
    return known.offset
