"""What the routes work with: made once in `create_app`, found through the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from holdfast.state import State
from holdfast.values import Values
from origin.grip import Signatures
from origin.produce import UpdateProducer


@dataclass(frozen=True, slots=True)
class Parts:
    values: Values
    state: State
    producer: UpdateProducer
    signatures: Signatures


def parts() -> Parts:
    """The parts of the application that handles this request."""
    return cast(Parts, current_app.extensions["holdfast"])
