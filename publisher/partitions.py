"""The partitions that this publisher owns: where each stands, and whether it may release."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.state import Partition


@dataclass(slots=True)
class Owned:
    """A partition that is assigned to this publisher. Offsets are Kafka's.

    position: the next offset to read. replay_to: nothing is released before position reaches it.
    run_id: of the Redis that the last heartbeat met. vouched: the origin may trust what that has
    of the partition. inherited: what the former owner left to do was taken over.
    rebuilding: what is read before replay_to was shown before, so its age says nothing.
    """

    partition: Partition
    partitions: int
    log_start: int = 0
    position: int = 0
    replay_to: int = 0
    topic_id: str = ""
    run_id: str = ""
    vouched: bool = False
    inherited: bool = False
    rebuilding: bool = False
    names: set[str] = field(default_factory=set)

    @property
    def caught_up(self) -> bool:
        return self.position >= self.replay_to


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a partition is, as seen from another thread. partitions: of its topic. position: the
    next offset to read. refused: its log does not fit, it waits for an operator.
    """

    partition: Partition
    partitions: int
    position: int
    caught_up: bool
    refused: bool
