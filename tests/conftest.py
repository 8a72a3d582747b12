"""One real stack for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase, settings

from stack.layout import REPO
from stack.stack import Stack
from stack.temporary import temporary_stack
from tests import tokens
from tests.front_door import doors

settings.register_profile("quick-to-fail", phases=(Phase.explicit, Phase.generate))
VALUES = REPO / "tests" / "values.toml"
# What only tests/e2e/test_access.py looks at. Everything else is open to all, as in the demo.
PRIVATE = """
[values."private.*"]
reduce = "latest"
private = true

[events."private.*"]
by_key = true
private = true
"""
ACCESS = {
    "HOLDFAST_JWT_KEY": tokens.KEY,
    "HOLDFAST_JWT_LEEWAY_S": "0",
    "HOLDFAST_JWT_OPEN_POST": "1",
}


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Every part, on free ports, in a folder of its own."""
    with temporary_stack(VALUES.read_text() + PRIVATE, settings=ACCESS) as stack:
        yield stack


@pytest.fixture(scope="session")
def tls_door(stack: Stack) -> Iterator[doors.Door]:
    """HTTPS and HTTP/2 in front of the session's stack."""
    with doors.tls_door(stack) as door:
        yield door
