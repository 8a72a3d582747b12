"""Makes something happen on a path, and knows it when it comes through a front door."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from tests.e2e.viewers import answers, post, snapshot, until

# More than what updates of other tests, released only now, could add.
STEP = 1_000
# Nobody else's: other tests drive theirs to the ends of 64 bits.
SUM = "sum.front-door"
Shown = Callable[[str], bool]


def begin(stack: Any) -> None:
    """A family's name is there from its first release on."""
    assert post(stack.url, SUM, {"add": 0}).status_code == 202
    until(lambda: answers(f"{stack.url}/values/{SUM}"), "a first release")


def release(stack: Any, name: str) -> Shown:
    """Raise a sum; whether a text has that release, as an event or as a line."""
    wanted = snapshot(stack.url, name)["value"] + STEP
    assert post(stack.url, name, {"add": STEP}).status_code == 202
    return lambda seen: any(
        int(number) >= wanted for number in re.findall(r'"(?:value|data)": ?(-?\d+)[,}]', seen)
    )


def event(stack: Any, topic: str) -> Shown:
    """Append a record; whether a text has it whole."""
    text = f"happening {uuid.uuid4().hex}"
    stack.produce(topic, text)
    return lambda seen: f"data: {text}\n\n" in seen
