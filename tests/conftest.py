"""One real stack for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase, settings

from stack.layout import REPO
from stack.stack import Stack
from stack.temporary import temporary_stack
from tests.front_door import doors

settings.register_profile("quick-to-fail", phases=(Phase.explicit, Phase.generate))
VALUES = REPO / "tests" / "values.toml"


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Every part, on free ports, in a folder of its own."""
    with temporary_stack(VALUES) as stack:
        yield stack


@pytest.fixture(scope="session")
def tls_door(stack: Stack) -> Iterator[doors.Door]:
    """HTTPS and HTTP/2 in front of the session's stack."""
    with doors.tls_door(stack) as door:
        yield door
