"""The origin as a function, and functions that answer WebSockets, under AWS's Lambda emulator."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from loadtest.function_rig import FunctionRig
from stack.layout import REPO, Sizes
from stack.stack import Stack
from stack.temporary import temporary_stack
from tests.conftest import VALUES


@pytest.fixture(scope="session")
def emulator() -> None:
    """AWS's Lambda emulator; skips where there is no Go to build it with."""
    done = subprocess.run(
        [REPO / "stack" / "serverless" / "build"], capture_output=True, text=True, check=False
    )
    if done.returncode == 3:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="package")
def serverless(emulator) -> Iterator[Stack]:
    """Every part, the origin as a function with two environments."""
    with temporary_stack(VALUES, sizes=Sizes(origins=0, functions=2)) as stack:
        yield stack


@pytest.fixture(scope="module")
def rig(emulator) -> Iterator[FunctionRig]:
    """The examples, and a function that fails as it is told (functions.py)."""
    with FunctionRig("tests.serverless.functions.handler") as rig:
        yield rig
