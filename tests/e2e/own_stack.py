"""A stack of a test's own: for what would be in other tests' way."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stack.layout import Sizes
from stack.stack import Stack
from tests.conftest import VALUES


@contextmanager
def own_stack(sizes: Sizes | None = None, **options: Any) -> Iterator[Stack]:
    """Ready when it is given; ended, and its folder gone, afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-"))
    stack = Stack(folder, port=0, pushpin_port=0, sizes=sizes, values=VALUES, **options)
    try:
        stack.start()
        stack.wait_ready()
        yield stack
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)
