"""What the routes work with: made once in `create_app`, found through the application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from flask import current_app

from holdfast.relay_state import RelayState
from holdfast.state import State
from holdfast.topics import Topics
from holdfast.values import Values
from origin.access import Access
from origin.desk import Desk
from origin.grip import Signatures
from origin.produce import UpdateProducer
from origin.replay import Replay


@dataclass(frozen=True, slots=True)
class Parts:
    values: Values
    state: State
    producer: UpdateProducer
    signatures: Signatures
    topics: Topics
    relay: RelayState
    replay: Replay
    desk: Desk | None = None
    access: Access = field(default_factory=Access)


def parts() -> Parts:
    """The parts of the application that handles this request."""
    return cast(Parts, current_app.extensions["holdfast"])
