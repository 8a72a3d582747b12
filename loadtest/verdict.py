"""The end of a run: posters rest, the value settles, and then every screen must show the truth."""

from __future__ import annotations

from typing import Any

import gevent
import requests
from holding import CONNECT_TIMEOUT_S, HoldingUser
from locust.runners import LocalRunner, MasterRunner, WorkerRunner
from promises import Violation

POLL_S = 0.25
SETTLE_MOST_S = 30.0
# Promise 2 of the contract: 5 s for recoveries, and 1 s of margin for a busy client.
STALE_AFTER_S = 6.0
# Workers report to the master every 3 s.
LAST_REPORTS_S = 4.0


class Verdict:
    """Of this process. With workers the master asks all of them before it ends the run."""

    def __init__(self) -> None:
        self.resting = False
        self._given = 0

    def begin(self) -> None:
        """A new run."""
        self.resting = False
        self._given = 0

    def register(self, runner: Any) -> None:
        """Let master and workers talk."""
        if isinstance(runner, WorkerRunner):
            runner.register_message("judge", self._on_judge, concurrent=True)
        elif isinstance(runner, MasterRunner):
            runner.register_message("judged", self._on_judged)

    def on_stopping(self, environment: Any) -> None:
        """Before the users are stopped; returns when all is judged."""
        runner = environment.runner
        if isinstance(runner, LocalRunner):
            self._judge(environment)
        elif isinstance(runner, MasterRunner):
            runner.send_message("judge")
            with gevent.Timeout(SETTLE_MOST_S + STALE_AFTER_S + LAST_REPORTS_S, False):
                while self._given < runner.worker_count:
                    gevent.sleep(POLL_S)
            gevent.sleep(LAST_REPORTS_S)

    def _on_judge(self, environment: Any, msg: Any, **_: object) -> None:
        self._judge(environment)
        environment.runner.send_message("judged")

    def _on_judged(self, environment: Any, msg: Any, **_: object) -> None:
        self._given += 1

    def _judge(self, environment: Any) -> None:
        if self.resting or not HoldingUser.holding:
            return
        self.resting = True
        final = _settled(environment)
        if final is None:
            return  # nobody knows the truth; why not, the users have reported
        with gevent.Timeout(STALE_AFTER_S, False):
            while not all(user.shows(final) for user in HoldingUser.holding):
                gevent.sleep(POLL_S)
        for user in list(HoldingUser.holding):
            stale = None if user.shows(final) else Violation("stale at the end")
            user.report("at the end", None, stale)


def _settled(environment: Any) -> dict[str, object] | None:
    """The snapshot that stays unchanged for --settle seconds; None when there is none."""
    options = environment.parsed_options
    url = f"{environment.host or options.host}/values/{options.value}"
    final: dict[str, object] | None = None
    unchanged_s = 0.0
    with gevent.Timeout(SETTLE_MOST_S, False):
        while unchanged_s < options.settle:
            try:
                now = requests.get(url, timeout=CONNECT_TIMEOUT_S).json()
            except (requests.RequestException, ValueError):
                now = None
            same = now is not None and final is not None and now["version"] == final["version"]
            unchanged_s = unchanged_s + POLL_S if same else 0.0
            final = now
            gevent.sleep(POLL_S)
        return final
    return None


verdict = Verdict()
