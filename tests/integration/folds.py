"""Folds as the publisher makes them, written short."""

from __future__ import annotations

import json

from holdfast.state import Fold
from holdfast.updates import Update
from holdfast.values import Rules
from publisher.fold import Step, fold

LOG_START = 0


def adds(name: str, first: int, *numbers: int, partition: int = 0) -> Fold:
    """Consecutive adds from offset `first` on, folded."""
    steps = [Step(first + index, 1000, Update(add=number)) for index, number in enumerate(numbers)]
    whole = fold(Rules(name, "sum"), partition, steps)
    assert whole is not None
    return whole


def sets(name: str, offset: int, value: object, *, at: int = 1000, partition: int = 0) -> Fold:
    """One set, whose record has the timestamp `at` (ms)."""
    steps = [Step(offset, at, Update(json=json.dumps(value).encode()))]
    whole = fold(Rules(name, "latest"), partition, steps)
    assert whole is not None
    return whole
