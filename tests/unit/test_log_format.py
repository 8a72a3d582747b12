"""Logs as lines to read, or as JSON lines."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

from holdfast.log_format import formatter
from stack.layout import REPO


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


def test_every_line_of_an_origin_is_json_gunicorns_own_too(environment):
    environment(GRIP_KEY="k" * 32, LOG_FORMAT="json", LOG_LEVEL="DEBUG", LOG_LEVLE="oops")
    origin = subprocess.Popen(
        [
            *(str(Path(sys.executable).parent / "gunicorn"), "-c", "origin/gunicorn.conf.py"),
            *("--bind", "127.0.0.1:0", "origin:create_app()"),
        ],
        cwd=REPO,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = []
    try:
        for line in origin.stderr:
            said.append(json.loads(line))
            if said[-1]["message"].startswith("Booting worker"):
                break
    finally:
        origin.terminate()
        _, rest = origin.communicate(timeout=60)
    said += map(json.loads, rest.splitlines())
    messages = [line["message"] for line in said]
    assert messages[0] == "HOLDFAST_LOG_LEVLE is not a setting; HOLDFAST_LOG_LEVEL is"
    assert any(message.startswith("Listening at: http://127.0.0.1:") for message in messages)
    assert messages[-1] == "Shutting down: Master"
