"""Which relay owns a partition: each works it out by itself, from who is alive.

No consumer group: it would only say what the guard in Redis makes harmless to get wrong. Two owners
of one partition append each record once all the same, and a partition that is nobody's for a moment
is read on from where it was left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from holdfast.state import Partition


def owned_by(name: str, members: Sequence[str], topics: Mapping[str, int]) -> set[Partition]:
    """The partitions of `name`. topics: names and numbers of partitions.

    By rendezvous hashing: who comes or goes moves no partition between the others.
    """
    return {
        Partition(topic, number)
        for topic, count in topics.items()
        for number in range(count)
        if max(members, key=lambda member: _weight(member, topic, number)) == name
    }


def _weight(member: str, topic: str, number: int) -> tuple[bytes, str]:
    text = f"{member}\0{topic}\0{number}".encode()
    return blake2b(text, digest_size=8).digest(), member
