"""A folder in which a test may run a stack of its own."""

from __future__ import annotations

import pytest

from tests.stack.command import make_folder


@pytest.fixture
def folder():
    folder = make_folder()
    try:
        yield folder
    finally:
        folder.remove()
