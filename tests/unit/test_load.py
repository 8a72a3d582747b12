"""What load tests measure by: answers that are cut anywhere, and the age of what is shown."""

from __future__ import annotations

import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.load.ages import on_screens
from stack.load.answer import Answer
from stack.load.report import Arrivals, Report

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


@given(
    bodies=st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_chunks_are_joined_wherever_the_answer_is_cut(bodies, cuts):
    sent = HEAD + b"".join(map(_chunk, bodies)) + _chunk(b"")
    answer, got, start = Answer(), b"", 0
    for cut in [*sorted(cuts), len(sent)]:
        got += answer.feed(sent[start:cut])
        start = max(start, cut)
    assert (answer.status, got, answer.ended) == (200, b"".join(bodies), True)


def test_a_chunk_that_comes_whole_is_taken_at_once():
    answer = Answer()
    answer.feed(HEAD)
    assert answer.feed(_chunk(b"id: 1\n\n")) == b"id: 1\n\n"
    assert not answer.ended


def test_a_body_of_known_length_ends_with_it():
    answer = Answer()
    assert answer.feed(b"HTTP/1.1 202 Accepted\r\ncontent-length: 3\r\n\r\nab") == b"ab"
    assert not answer.ended
    assert answer.feed(b"c") == b"c"
    assert answer.ended


def test_what_is_no_http_is_refused():
    with pytest.raises(ValueError, match="not an HTTP answer"):
        Answer().feed(b"SSH-2.0-x\r\n\r\n")


def _shown(*screens: tuple[int, float, float]) -> Report:
    return Report(
        shown_value=array("q", [value for value, _, _ in screens]),
        shown_from=array("d", [since for _, since, _ in screens]),
        shown_until=array("d", [until for _, _, until in screens]),
    )


def test_a_screen_ages_from_the_first_update_that_it_lacks():
    # Updates at 10, 11, 12; the screen shows the first from 10 on, and all from 14 on.
    ages = on_screens(_shown((1, 10.0, 14.0), (3, 14.0, 16.0)), [10.0, 11.0, 12.0], 0, 0.0)
    # 1 s fresh, then 0 to 3 s old, then 2 s fresh again.
    assert ages.p50 == pytest.approx(0.0, abs=0.01)
    assert ages.p99 == pytest.approx(3 - 0.06, abs=0.01)
    assert ages.mean == pytest.approx(4.5 / 6, abs=0.01)


def test_all_screens_and_all_their_time_count_alike():
    fresh, old = (2, 10.0, 20.0), (1, 10.0, 20.0)
    ages = on_screens(_shown(fresh, old), [0.0, 5.0], 0, 0.0)
    assert ages.mean == pytest.approx((0 + 10) / 2, abs=0.01)
    assert ages.p99 == pytest.approx(15 - 0.2, abs=0.02)


def test_what_was_before_the_window_does_not_count():
    assert on_screens(_shown((0, 0.0, 10.0)), [0.0], 0, 10.0).mean == 0
    assert not math.isnan(on_screens(_shown(), [], 0, 0.0).p99)


def test_reports_of_several_processes_add_up():
    one, two = Report(ready=2, first_ready=5.0, last_ready=6.0), Report(ready=1)
    one.releases[7] = Arrivals(2, 1.0, 2.0)
    two.releases[7] = Arrivals(1, 0.5, 1.5)
    two.failed["status 500"] += 1
    one.add(two)
    assert (one.ready, one.first_ready, one.failed["status 500"]) == (3, 5.0, 1)
    assert one.releases[7] == Arrivals(3, 0.5, 2.0)
