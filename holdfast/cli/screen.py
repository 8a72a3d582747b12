"""One line of a terminal that shows a value, and where it has been."""

from __future__ import annotations

import json
from collections import deque

from rich.console import Console
from rich.live import Live
from rich.text import Text

from holdfast.client import Release, State

_BARS = "▁▂▃▄▅▆▇█"
_COLOURS = {State.LIVE: "green", State.STALE: "yellow", State.CONNECTING: "dim"}


class Screen:
    """Shown while it is open. Its last 40 numbers make a picture."""

    def __init__(self, name: str, console: Console) -> None:
        self._name = name
        self._console = console
        self._live = Live(console=console, refresh_per_second=10, get_renderable=self._draw)
        self._release: Release | None = None
        self._state = State.CONNECTING
        self._numbers: deque[float] = deque(maxlen=40)

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, release: Release) -> None:
        self._release = release
        if isinstance(release.value, int | float) and not isinstance(release.value, bool):
            self._numbers.append(float(release.value))

    def mark(self, state: State) -> None:
        self._state = state

    def _draw(self) -> Text:
        text = Text(f"{self._name}  ")
        if self._release is not None:
            text.append(json.dumps(self._release.value, ensure_ascii=False), style="bold")
            text.append(f"  {bars(self._numbers)}  ", style="cyan")
            text.append(f"{self._release.released_at or 'never released'}  ", style="dim")
        text.append(str(self._state), style=_COLOURS[self._state])
        text.truncate(self._console.width, overflow="ellipsis")
        return text


def bars(numbers: deque[float]) -> str:
    """A character for each number, from the lowest to the highest of them."""
    if len(numbers) < 2:
        return ""
    low, high = min(numbers), max(numbers)
    span = (high - low) or 1.0
    return "".join(_BARS[round((each - low) / span * (len(_BARS) - 1))] for each in numbers)
