"""The load test's judge of one screen, and its shapes."""

from __future__ import annotations

import json
import sys

import pytest

from stack.layout import REPO

sys.path.insert(0, str(REPO / "loadtest"))
from promises import Screen
from sse import Event


def _event(version: int, prev: int, id: str | None = None) -> Event:
    data = json.dumps({"name": "counter", "value": version, "version": version, "prev": prev})
    return Event("message", str(version) if id is None else id, data)


def _second(screen: Screen, event: Event, *, live: bool = True) -> str:
    """The fault of `event` after one of version 5, "" = none."""
    assert screen.take(_event(5, 4), live=False, returning=False) is None
    return str(screen.take(event, live=live, returning=True) or "")


def test_the_next_release_is_no_fault():
    assert _second(Screen(), _event(6, 5)) == ""


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        (_event(7, 6), "a gap: a release was skipped"),
        (_event(5, 4), "the same version again"),
        (_event(4, 3), "a version that is not newer than the one before"),
        (_event(6, 5, id="5"), "the id is not the version"),
        (Event("reset", "", "{}"), "reset after an id that the service gave"),
    ],
)
def test_each_broken_promise_is_told(event, fault):
    assert _second(Screen(), event) == fault


def test_who_comes_back_may_have_missed_releases():
    assert _second(Screen(), _event(9, 8), live=False) == ""


def test_a_gap_is_no_fault_where_skips_are_allowed():
    assert _second(Screen(gaps=False), _event(7, 6)) == ""


def test_after_a_gap_the_next_release_is_judged_by_what_is_shown_now():
    screen = Screen()
    assert _second(screen, _event(7, 6)) != ""
    assert screen.take(_event(8, 7), live=True, returning=False) is None


def test_what_is_no_snapshot_is_refused():
    with pytest.raises(ValueError, match="no snapshot"):
        Screen().take(Event("message", "1", "[]"), live=False, returning=False)
