"""Which of the names in a `subscribe` may be subscribed to, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast.access_tokens import Grant
from holdfast.errors import UnavailableError
from holdfast.formats import socket_release
from holdfast.messages import MAX_SUBSCRIPTIONS
from holdfast.state import View
from holdfast.values import Rules
from origin.parts import Parts
from origin.socket_memory import SocketMemory, digest
from origin.views import snapshot_of


class Subscribing:
    """names: now subscribed. shown: messages by name, of those that were not before.

    faults: (name, status, detail) of the others. room: bytes that may be shown. who: what the
    client's token allows.
    """

    def __init__(
        self, parts: Parts, memory: SocketMemory, room: int, who: Callable[[], Grant | None]
    ) -> None:
        self._parts = parts
        self._who = who
        self._memory = memory
        self._room = room
        self.names: list[str] = []
        self.shown: dict[str, bytes] = {}
        self.faults: list[tuple[str, int, str]] = []

    def subscribe(self, names: Sequence[str]) -> None:
        """Each name once. memory knows those that were taken."""
        wanted = []
        for name in dict.fromkeys(names):
            rules = self._parts.values.rules(name)
            if digest(name) in self._memory.subscribed:
                # Shown before. Once more might be older than what Pushpin has sent meanwhile.
                self.names.append(name)
            elif rules is None:
                self.faults.append((name, 404, "no such value"))
            elif rules.private and not self._may_read(name):
                self.faults.append((name, 403, "private: connect with a token that allows it"))
            else:
                wanted.append(rules)
        try:
            views = self._parts.state.views(wanted)
        except UnavailableError:
            views = [View(False, None)] * len(wanted)
        for rules, view in zip(wanted, views, strict=True):
            fault = self._show(rules, view)
            if fault is not None:
                self.faults.append((rules.name, *fault))

    def _may_read(self, name: str) -> bool:
        grant = self._who()
        return grant is not None and grant.allows("read", name)

    def _show(self, rules: Rules, view: View) -> tuple[int, str] | None:
        if len(self._memory.subscribed) >= MAX_SUBSCRIPTIONS:
            return 422, f"a connection has at most {MAX_SUBSCRIPTIONS} values; open another"
        if not view.ready:
            return 503, "try again shortly"
        snapshot = snapshot_of(rules, view)
        if snapshot is None:
            return 404, "no such value"
        text = socket_release(snapshot)
        if len(text) > self._room:
            return 429, "too much for one answer; ask for this one again"
        self._room -= len(text)
        self._memory.subscribed.add(digest(rules.name))
        if rules.private:
            self._memory.note_private()
        self.names.append(rules.name)
        self.shown[rules.name] = text
        return None
