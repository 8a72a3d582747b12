"""A stack for a while: for tests, and for commands that measure or break one of their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stack.layout import POST_RATE, Sizes
from stack.render import HOLD_RATE
from stack.stack import Stack


@contextmanager
def temporary_stack(
    values: Path | str | None = None,
    *,
    sizes: Sizes | None = None,
    post_rate: int = POST_RATE,
    hold_rate: int = HOLD_RATE,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """On free ports, in a folder of its own; ready when it is given, gone afterwards.

    values: a values.toml, or the text of one. settings: more HOLDFAST_* of all parts.
    """
    # A short name: Unix sockets leave no room for a long one.
    folder = Path(tempfile.mkdtemp(prefix="holdfast-"))
    if isinstance(values, str):
        (folder / "values.toml").write_text(values)
        values = folder / "values.toml"
    stack = Stack(
        folder,
        port=0,
        pushpin_port=0,
        sizes=sizes,
        values=values,
        post_rate=post_rate,
        hold_rate=hold_rate,
        settings=settings,
    )
    try:
        stack.start()
        stack.wait_ready()
        yield stack
    finally:
        stack.discard()
        shutil.rmtree(folder, ignore_errors=True)
