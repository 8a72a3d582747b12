"""The judge of chaos sees what it is there to see."""

from __future__ import annotations

from itertools import pairwise

import pytest

from holdfast.errors import ConfigError
from stack.chaos import report
from stack.chaos.check import Outcome, beyond_rate, lost_and_doubled
from stack.chaos.viewers import Viewer


def test_a_loss_and_a_double_are_told_apart_by_value():
    expected = {"a": 10, "b": 10, "weighted": 1000}
    assert lost_and_doubled(expected, expected, "weighted") == (0, 0)
    assert lost_and_doubled(expected, {"a": 8, "b": 11, "weighted": 1000}, "weighted") == (2, 1)
    assert lost_and_doubled(expected, {"a": 10, "b": 10, "weighted": 400}, "weighted") == (1, 0)
    assert lost_and_doubled(expected, {"a": 10, "b": 10, "weighted": 1400}, "weighted") == (0, 1)


@pytest.mark.parametrize(
    ("versions", "allowed"),
    [
        ([1000, 2000, 3000], True),
        ([1000, 1999, 2998], True),  # whole milliseconds
        ([1000, 1500], False),
        ([1000, 2000, 2500, 9000], False),
        ([1000, 1000, 1000], True),  # one release, seen by three viewers
        ([1000, 5000, 5400, 9000], False),
    ],
)
def test_releases_beyond_the_rate_are_found(versions, allowed):
    assert (beyond_rate(versions, 1.0, 1) is None) == allowed


def test_a_lost_bucket_allows_one_release_more_and_not_two():
    assert beyond_rate([1000, 1500], 1.0, 1, extra=1) is None
    assert beyond_rate([1000, 1400, 1800], 1.0, 1, extra=1) is not None


class Event:
    event = "message"

    def __init__(self, version, value):
        self.data = f'{{"version": {version}, "value": {value}}}'


def show(*events):
    viewer = Viewer(None, "load.a")
    for version, value in events:
        viewer._take(Event(version, value))
    return viewer


def test_a_version_or_a_value_that_goes_back_is_a_broken_promise():
    assert show((1, 1), (2, 5), (3, 5)).violations == []
    assert show((2, 1), (2, 1)).violations == ["load.a: version 2 after 2"]
    assert show((1, 5), (2, 4)).violations == ["load.a: value 4 after 5"]


def test_silence_counts_from_the_fault_to_the_end():
    viewer = show()
    viewer.releases = [(at, version, 0) for version, at in enumerate([0.0, 1.0, 4.0, 5.0])]
    assert viewer.longest_silence_s(0.5, 9.0) == 4.0
    assert viewer.first_after(1.0) == 4.0
    assert viewer.first_after(5.0) is None
    assert all(a < b for a, b in pairwise(at for at, _, _ in viewer.releases))


def test_the_table_is_written_between_its_marks_and_again(tmp_path):
    file = tmp_path / "reliability.md"
    marks = "<!-- chaos 2: begin -->\nold\n<!-- chaos 2: end -->"
    file.write_text(f"before\n<!-- chaos: begin -->\n{marks}\nafter\n")
    outcome = Outcome("redis", "kill -9", 10, 1, 0, 0, 1.25, 0.5, 0, spreads=(0.001, 0.002))
    report.write(file, "chaos 2", [outcome, outcome])
    report.write(file, "chaos 2", [outcome, outcome])
    text = file.read_text()
    assert "| redis | kill -9 | 2 | 20 | 0 | 0 | 1.2 | 0.5 | 0 |" in text
    assert "4 purges" in text
    assert text.startswith("before\n<!-- chaos: begin -->\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    with pytest.raises(ConfigError):
        report.write(file, "chaos", [outcome])
