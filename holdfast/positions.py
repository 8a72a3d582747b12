"""A position in a relayed topic: the id of an event, and all that a viewer has to say to go on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Written "<sequence>/<offset>,<offset>" to clients, with dashes to Pushpin: a comma in its
# Grip-Channel would begin another channel. Both are read.
_TEXT = re.compile(r"([0-9]{1,16})[/-]([0-9]{1,19}(?:[,-][0-9]{1,19})*)")


@dataclass(frozen=True, slots=True)
class Position:
    """What was seen of a topic: per partition the next offset, and a topic-wide sequence.

    The offsets are what counts. The sequence only finds the place in Redis; it never decreases.
    """

    sequence: int
    offsets: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """A position from an id, None when it is none."""
        found = _TEXT.fullmatch(text) if text.isascii() else None
        if found is None:
            return None
        return cls(int(found[1]), parse_offsets(found[2].replace(",", "-")))

    @property
    def id(self) -> str:
        """As clients get it: the SSE id."""
        return f"{self.sequence}/{','.join(map(str, self.offsets))}"

    @property
    def grip_id(self) -> str:
        """As Pushpin and URLs get it."""
        return f"{self.sequence}-{format_offsets(self.offsets)}"

    def frame(self, partition: int) -> tuple[str, str]:
        """What stands before and behind the partition's offset in an id: the rest stays the same
        from one event of the partition to the next.
        """
        texts = [str(offset) for offset in self.offsets]
        texts.extend("0" for _ in range(partition - len(texts)))
        return (
            "".join(f"{text}," for text in texts[:partition]),
            "".join(f",{text}" for text in texts[partition + 1 :]),
        )

    def offset(self, partition: int) -> int:
        """The next offset of a partition; one that was added since has been seen from nowhere."""
        return self.offsets[partition] if partition < len(self.offsets) else 0

    def reaches(self, other: Sequence[int]) -> bool:
        """Whether everything before the offsets `other` was seen."""
        return all(self.offset(partition) >= offset for partition, offset in enumerate(other))

    def lag(self, other: Sequence[int]) -> int:
        """How many records lie between this and the offsets `other`, at most."""
        return sum(
            max(0, offset - self.offset(partition)) for partition, offset in enumerate(other)
        )

    def moved(self, partition: int, offset: int, sequence: int) -> Position:
        """The position after a record of `partition` whose next offset is `offset`."""
        offsets = list(self.offsets)
        offsets.extend([0] * (partition + 1 - len(offsets)))
        offsets[partition] = max(offsets[partition], offset)
        return Position(max(self.sequence, sequence), tuple(offsets))


def format_offsets(offsets: Sequence[int]) -> str:
    """As they stand in Redis: with dashes."""
    return "-".join(map(str, offsets))


def parse_offsets(text: str) -> tuple[int, ...]:
    """Offsets from how they stand in Redis."""
    return tuple(int(offset) for offset in text.split("-"))
