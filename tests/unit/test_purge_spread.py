"""The edges' logs, put side by side."""

from __future__ import annotations

import pytest

from stack.chaos.spread import sentence, spreads


def test_a_purge_is_known_by_its_versions():
    first = ["100.000 value:a=1", "101.000 value:a=2 value:b=3", "102.0 -"]
    second = ["100.004 value:a=1", "100.990 value:a=2 value:b=3"]
    assert spreads([first, second]) == pytest.approx([0.004, 0.010])


def test_a_purge_that_an_edge_did_not_take_has_no_spread():
    assert spreads([["100.0 value:a=1", "101.0 value:a=2"], ["100.5 value:a=1"]]) == [0.5]
    assert spreads([["100.0 value:a=1"], []]) == []


def test_the_same_purge_from_two_publishers_is_two():
    first = ["100.0 value:a=1", "105.0 value:a=1"]
    second = ["105.25 value:a=1", "100.5 value:a=1"]
    assert spreads([first, second]) == [0.5, 0.25]


def test_what_it_says():
    assert "median 3.0 ms, 99 % 5.0 ms, longest 5.0 ms" in sentence([0.005, 0.003, 0.001])
