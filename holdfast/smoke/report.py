"""One line per check, as it is made."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.smoke.site import SmokeError


class Report:
    def __init__(self) -> None:
        self.good = 0
        self.bad = 0

    @contextmanager
    def check(self, what: str) -> Iterator[None]:
        """What goes wrong inside is told, and keeps no other check from being made."""
        started = time.monotonic()
        try:
            yield
        except (SmokeError, OSError, http.client.HTTPException, ValueError) as error:
            self.bad += 1
            self._line("FAIL", started, f"{what}: {error or type(error).__name__}")
        else:
            self.good += 1
            self._line("ok", started, what)

    def _line(self, result: str, started: float, what: str) -> None:
        print(f"{result:4}  {time.monotonic() - started:6.2f} s  {what}", flush=True)

    def end(self) -> bool:
        """The sum of it; whether all was well."""
        print(f"{self.good} checks passed, {self.bad} failed")
        return not self.bad
