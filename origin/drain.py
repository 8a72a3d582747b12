"""A stopping origin first says that it is not ready, so that the edge sends it nothing more.

An update that meets a closed port can't be sent again safely: nobody knows how far it came.
"""

from __future__ import annotations

import mmap

# Shared with the worker processes, which gunicorn forks from the one that imports this first.
_flag = mmap.mmap(-1, 1)


def begin() -> None:
    _flag[0] = 1


def begun() -> bool:
    return _flag[0] == 1
