"""Load for locust; README.md says how to run it and what is measured."""

from __future__ import annotations

from typing import Any

import gevent
import requests
from holding import CONNECT_TIMEOUT_S
from ledger import ledger
from locust import events
from locust.runners import MasterRunner
from posters import Poster
from readers import Reader
from shape import CURVES, Shape
from text_viewers import TextViewer
from verdict import verdict
from viewers import Viewer

__all__ = ["Poster", "Reader", "Shape", "TextViewer", "Viewer"]

SETTLE_S = 1.5
SETTLE_TRIES = 8


@events.init_command_line_parser.add_listener
def _options(parser: Any) -> None:
    add = parser.add_argument
    add("--value", default="counter", help="A sum that the users watch and raise")
    add("--default-value", default="counter", help="The value that /stream shows")
    add("--post-rate", type=float, default=1.0, help="Updates per second of each poster")
    add("--read-rate", type=float, default=1.0, help="Snapshots per second of each reader")
    add("--shape", default="steady", choices=list(CURVES), help="How the number of users goes")
    add("--settle", type=float, default=3.0, help="How long a value rests, s: more than 1/rate")
    add(
        "--skips-allowed",
        action="store_true",
        help="A skipped release is no failure: for rates that the service can't keep",
    )


@events.init.add_listener
def _register(environment: Any, **_: object) -> None:
    verdict.register(environment.runner)


@events.test_start.add_listener
def _begin(environment: Any, **_: object) -> None:
    """Propagation can be measured from a value that nobody changes: wait until it rests."""
    verdict.begin()
    ledger.begin()
    if isinstance(environment.runner, MasterRunner):
        return
    options = environment.parsed_options
    url = f"{environment.host or options.host}/values/{options.value}"
    before = None
    for _attempt in range(SETTLE_TRIES):
        try:
            now = requests.get(url, timeout=CONNECT_TIMEOUT_S).json()["value"]
        except (requests.RequestException, ValueError, KeyError):
            return  # the users will report what is wrong
        if now == before and isinstance(now, int):
            ledger.base = now
            return
        before = now
        gevent.sleep(SETTLE_S)


@events.test_stopping.add_listener
def _end(environment: Any, **_: object) -> None:
    verdict.on_stopping(environment)
