"""How the parts write their logs: lines to read, or JSON lines for programs."""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from holdfast.moments import rfc3339

TEXT, JSON = "text", "json"
OWN = ("holdfast", "origin", "publisher", "relay")
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """One JSON object a line: `at`, `level`, `logger`, `message`, and what the call gave as
    `extra={"fields": {...}}`; `error` holds a traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": rfc3339(round(record.created * 1000)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def formatter(name: str) -> logging.Formatter:
    """name: "text" or "json"."""
    return JsonLines() if name == JSON else logging.Formatter(_TEXT)


def set_up(level: str, name: str) -> None:
    """Make the process's log of this level and format, on stderr.

    DEBUG is for Holdfast's own lines: libraries have one for each request they make.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(formatter(name))
    logging.basicConfig(
        level=logging.INFO if level == "DEBUG" else level, handlers=[handler], force=True
    )
    for own in OWN:
        logging.getLogger(own).setLevel(level)
