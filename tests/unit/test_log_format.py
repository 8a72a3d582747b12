"""Logs as lines to read, or as JSON lines."""

from __future__ import annotations

import json
import logging
import sys

from holdfast.log_format import formatter


def record(message, *args, error=None, **extra):
    made = logging.LogRecord("publisher", logging.WARNING, "f.py", 1, message, args, error)
    made.created = 1764000000.123
    for name, value in extra.items():
        setattr(made, name, value)
    return made


def test_a_json_line_is_one_object_with_the_fields_of_the_call():
    line = formatter("json").format(
        record("two\nlines of %s", "text", fields={"value": "counter", "age_s": None})
    )
    assert "\n" not in line
    assert json.loads(line) == {
        "at": "2025-11-24T16:00:00.123Z",
        "level": "WARNING",
        "logger": "publisher",
        "message": "two\nlines of text",
        "value": "counter",
        "age_s": None,
    }


def test_a_json_line_holds_the_traceback():
    try:
        raise ValueError("this one")
    except ValueError:
        line = formatter("json").format(record("oh", error=sys.exc_info()))
    assert "ValueError: this one" in json.loads(line)["error"]


def test_text_is_for_readers():
    assert formatter("text").format(record("hello %d", 1)).endswith("WARNING publisher: hello 1")
