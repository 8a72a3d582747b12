"""gunicorn's settings: threads, because a POST waits for Kafka and must not block the others."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from types import FrameType
from typing import Any

from gunicorn.glogging import Logger
from prometheus_client import multiprocess

from holdfast import log_format, topics, values
from holdfast.config import load, warn
from holdfast.errors import ConfigError
from origin import drain
from origin.access import Access

try:
    # Each worker reads them for itself, but would be started again and again for a fault.
    settings = load()
    settings.require("origin")
    Access.of(settings, values.load(settings.values), topics.load(settings.values))
except ConfigError as error:
    sys.stderr.write(f"origin: {error}\n")
    sys.exit(2)
log_format.set_up(settings.log_level, settings.log_format)
warn(logging.getLogger("origin"))


class Log(Logger):  # type: ignore[misc]
    """gunicorn's own lines look as ours do. (`logconfig_dict` would turn on a line per request.)"""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(log_format.formatter(settings.log_format))


logger_class = Log
# Its own lines at debug are two for each request.
loglevel = "info" if settings.log_level == "DEBUG" else settings.log_level.lower()

worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
threads = 64
backlog = 2048
keepalive = 75  # longer than the edge keeps an idle connection, so that it never meets a closed one
timeout = 30
graceful_timeout = 10
# The edge and nginx limit these; gunicorn's own answer to too much of them would be HTML.
limit_request_line = 0
limit_request_field_size = 32_768  # 0 would be 8190
accesslog = None
control_socket_disable = True
drain_s = settings.drain_s


def on_starting(server: object) -> None:
    """Begin with an empty folder of metrics: files of dead processes would count on."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)


def when_ready(server: Any) -> None:
    """On SIGTERM go on answering for drain_s, but not ready; then stop as gunicorn does."""
    if not drain_s:
        return
    stop = signal.getsignal(signal.SIGTERM)

    def begin(_number: int, _frame: FrameType | None) -> None:
        if not drain.begun():
            server.log.info("Draining for %s s", drain_s)
            drain.begin()
            signal.setitimer(signal.ITIMER_REAL, drain_s)

    def end(_number: int, frame: FrameType | None) -> None:
        stop(signal.SIGTERM, frame)  # type: ignore[operator, misc]

    signal.signal(signal.SIGALRM, end)
    signal.signal(signal.SIGTERM, begin)


def child_exit(server: object, worker: object) -> None:
    """Forget a dead worker's gauges."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[attr-defined, no-untyped-call]
