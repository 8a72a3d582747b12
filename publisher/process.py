"""What publishers, relays and the process for webhooks begin with."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

from holdfast import config, log_format
from holdfast.config import Settings
from holdfast.errors import ConfigError

T = TypeVar("T")


def configure(part: str, log: logging.Logger, more: Callable[[Settings], T]) -> tuple[Settings, T]:
    """The settings, and what `more` makes of them. ConfigError: says why, and exits with 2."""
    try:
        settings = config.load()
        log_format.set_up(settings.log_level, settings.log_format)
        config.warn(log)
        return settings, more(settings)
    except ConfigError as error:
        sys.stderr.write(f"{part}: {error}\n")
        sys.exit(2)


def until_signalled() -> threading.Event:
    """Set by SIGTERM and SIGINT."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping
