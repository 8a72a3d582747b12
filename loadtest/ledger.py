"""How long acknowledged updates take until a viewer sees them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Ledger:
    """The acknowledged `{"add": 1}` of this process, against the values that viewers see.

    After the n-th acknowledgement, n increments are in Kafka. The first event whose value is at
    least `base + n` shows them. That needs no order among the posts; it needs to know all of them.
    base: the value before the first post; None = not known, so nothing can be measured.
    """

    base: int | None = None
    sent: int = 0
    acknowledged: list[float] = field(default_factory=list)  # perf_counter(), in order

    def begin(self) -> None:
        """A new run; the base is not known yet."""
        self.base, self.sent, self.acknowledged = None, 0, []

    def send(self) -> None:
        """An update is about to be posted."""
        self.sent += 1

    def acknowledge(self) -> None:
        """It was answered 202."""
        self.acknowledged.append(time.perf_counter())

    def shown(self, value: int, already: int) -> tuple[int, list[float]]:
        """How many updates `value` shows, and for each beyond `already` its propagation in s.

        Stops measuring for good when the value holds more than was sent: somebody else posts too.
        """
        if self.base is None:
            return already, []
        count = value - self.base
        if count < 0 or count > self.sent:
            self.base = None
            return already, []
        now = time.perf_counter()
        # An event may overtake the answer to the post that caused it.
        known = self.acknowledged[already:count]
        return max(already, count), [max(0.0, now - at) for at in known]


ledger = Ledger()
