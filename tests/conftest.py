"""One real stack for all tests that need one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from stack.layout import REPO
from stack.stack import Stack

settings.register_profile("quick-to-fail", phases=(Phase.explicit, Phase.generate))
VALUES = REPO / "tests" / "values.toml"


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Every part, on free ports, in a folder of its own."""
    # Not pytest's tmp_path: its long names don't leave room for Unix sockets.
    folder = Path(tempfile.mkdtemp(prefix="holdfast-"))
    stack = Stack(folder, port=0, pushpin_port=0, values=VALUES)
    try:
        stack.start()
        stack.wait_ready()
        yield stack
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)
