"""A parser of event streams: WHATWG HTML, 9.2.6 "Interpreting an event stream"."""

from __future__ import annotations

import codecs
from typing import NamedTuple


class Event(NamedTuple):
    """One dispatched event. id: of the newest event that had one, "" = none so far."""

    event: str
    id: str
    data: str


class EventParser:
    """Takes a stream in chunks that may be cut anywhere, in the middle of a character too."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""
        self._id = ""
        self._event = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes."""
        text = self._rest + self._decoder.decode(chunk)
        # A CR at the very end may be the first half of a CRLF: it waits for what follows.
        held = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
        *lines, rest = text.split("\n")
        self._rest = rest + held
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._event = value
        elif field == "id" and "\0" not in value:
            self._id = value
        return None

    def _dispatch(self) -> Event | None:
        event, data = self._event or "message", self._data
        self._event, self._data = "", []
        return Event(event, self._id, "\n".join(data)) if data else None
