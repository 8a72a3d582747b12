"""The published view of a value, as every representation of it begins."""

from __future__ import annotations

from holdfast.errors import UnavailableError
from holdfast.formats import private_channel, value_channel
from holdfast.snapshots import Snapshot
from holdfast.state import View
from holdfast.values import Rules
from origin.parts import parts


def channel_of(name: str) -> str:
    """The channel of a value's WebSockets."""
    channel = value_channel(name)
    return private_channel(channel) if parts().values.private(name) else channel


def view_of(rules: Rules, *, history: bool = False) -> View:
    """The published view. UnavailableError while Redis can't be trusted: the edge has a copy."""
    return trusted(parts().state.view(rules, history=history))


def trusted(view: View) -> View:
    """UnavailableError unless it is."""
    if not view.ready:
        raise UnavailableError("the state is being rebuilt")
    return view


def snapshot_of(rules: Rules, view: View) -> Snapshot | None:
    """The newest release; version 0 for a configured value without one; None for nobody's."""
    if view.snapshot is None and parts().values.configured(rules.name):
        return Snapshot.unreleased(rules.name, rules.reduce)
    return view.snapshot
