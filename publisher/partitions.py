"""The partitions that this publisher owns: where each stands, and whether it may release."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.errors import LogStartError
from holdfast.state import Partition


@dataclass(slots=True)
class Owned:
    """A partition that is assigned to this publisher. Offsets are Kafka's.

    position: the next offset to read. replay_to: nothing is released before position reaches it.
    run_id: of the Redis that the last heartbeat met. vouched: the origin may trust what that has
    of the partition. inherited: what the former owner left to do was taken over.
    """

    partition: Partition
    partitions: int
    log_start: int = 0
    position: int = 0
    replay_to: int = 0
    run_id: str = ""
    vouched: bool = False
    inherited: bool = False
    names: set[str] = field(default_factory=set)

    @property
    def caught_up(self) -> bool:
        return self.position >= self.replay_to


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
