"""An environment of the test's own."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def environment(monkeypatch):
    """Sets HOLDFAST_ variables; those of the surroundings don't count."""
    for name in list(os.environ):
        if name.startswith("HOLDFAST_"):
            monkeypatch.delenv(name)

    def set_(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"HOLDFAST_{name}", value)

    return set_
