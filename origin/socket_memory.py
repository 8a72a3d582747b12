"""What a WebSocket's next event must know: Pushpin keeps it, and sends it along as `Meta-Socket`.

So nothing of a socket is in an origin, and any origin may answer its next event.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field

BURST = 500  # messages at once ...
PER_SECOND = 100  # ... and from then on
# Among the digests: one of them is of a private value.
_PRIVATE = "private"
_DIGEST_BYTES = 6  # 8 characters: 200 subscriptions in 1.6 kB of header


def digest(name: str) -> str:
    """A value's name, short. Two of one socket that are alike: 1 in 10 billion sockets."""
    return urlsafe_b64encode(
        hashlib.blake2b(name.encode(), digest_size=_DIGEST_BYTES).digest()
    ).decode()


@dataclass(slots=True)
class SocketMemory:
    """tokens: messages that may be sent at `at_ms` (since 1970). subscribed: digests of names."""

    tokens: float = BURST
    at_ms: int = 0
    subscribed: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, header: str) -> SocketMemory:
        """From `Meta-Socket`. Raises ValueError when it is none of ours."""
        tokens, at_ms, subscribed = header.split("/")
        return cls(float(tokens), int(at_ms), set(filter(None, subscribed.split("."))))

    def write(self) -> str:
        return f"{self.tokens:.2f}/{self.at_ms}/{'.'.join(sorted(self.subscribed))}"

    @property
    def private(self) -> bool:
        """Whether the socket was ever subscribed to something private."""
        return _PRIVATE in self.subscribed

    def note_private(self) -> None:
        self.subscribed.add(_PRIVATE)

    def fill(self, now_ms: int) -> None:
        """Let time pass. An origin whose clock is behind another's gives nothing twice."""
        if now_ms > self.at_ms:
            earned = (now_ms - self.at_ms) / 1000 * PER_SECOND
            self.tokens, self.at_ms = min(BURST, self.tokens + earned), now_ms

    def take(self) -> bool:
        """Whether one more message may be sent."""
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def unsubscribe(self, names: Iterable[str]) -> list[str]:
        """Forget these; those that were subscribed."""
        known = [name for name in dict.fromkeys(names) if digest(name) in self.subscribed]
        self.subscribed.difference_update(map(digest, known))
        return known
