"""Viewers: hold a value's event stream and check every version that comes."""

from __future__ import annotations

import time
from datetime import datetime

from holding import HoldingUser
from ledger import ledger
from promises import Screen, Violation
from sse import EventParser


class Viewer(HoldingUser):
    """One screen; a page that is open."""

    weight = 6
    content_type = "text/event-stream"

    def begin(self) -> None:
        options = self.environment.parsed_options
        self.path = f"/values/{options.value}"
        self.screen = Screen(gaps=not options.skips_allowed)
        self.shown = 0

    def headers(self) -> dict[str, str]:
        headers = {"Accept": "text/event-stream"}
        if self.screen.version:
            headers["Last-Event-ID"] = str(self.screen.version)
        return headers

    def open(self, *, returning: bool) -> None:
        self._parser, self._returning = EventParser(), returning

    def take(self, chunk: bytes) -> None:
        for event in self._parser.feed(chunk):
            live = self.came()
            try:
                fault = self.screen.take(event, live=live, returning=self._returning)
            except ValueError as error:
                self.report("event", None, Violation(f"unreadable: {error!r}"))
                continue
            self.report("event", None, fault, len(event.data))
            if event.event == "message":
                self._measure(live)

    def _measure(self, live: bool) -> None:
        value, released_at = self.screen.value, self.screen.released_at
        self.shown, waits = ledger.shown(value, self.shown)
        if not live:  # what a connection begins with is as old as it happens to be
            return
        if released_at is not None:
            age = time.time() - datetime.fromisoformat(released_at).timestamp()
            self.report("release to screen", max(0.0, age))
        if waits:
            self.report("propagation, oldest post", max(waits))
            self.report("propagation, newest post", min(waits))

    def shows(self, final: dict[str, object]) -> bool:
        return self.screen.version == final["version"]
