"""Working with single parts of a running stack."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.viewers import until


@pytest.fixture
def origin_back(stack):
    yield
    stack.start_part("origin-1")


def test_a_part_that_just_died_stays_stopped_once_it_is_stopped(stack, origin_back):
    for _ in range(3):
        stack.start_part("origin-1")
        until(lambda: _state(stack) == "running", "the process manager's trust in the origin")
        os.kill(stack.pid("origin-1"), signal.SIGKILL)
        stack.stop_part("origin-1")
        assert _state(stack) == "stopped"


def _state(stack) -> str:
    return next(part.state for part in stack.status() if part.name == "origin-1")
