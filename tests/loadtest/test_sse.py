"""The load test's own parser must not care how a stream is cut."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.formats import sse_event
from stack.layout import REPO

sys.path.insert(0, str(REPO / "loadtest"))
from sse import Event, EventParser


@given(
    texts=st.lists(st.text(), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 400), max_size=20),
)
def test_what_the_encoder_writes_is_read_whatever_the_cuts(texts, cuts):
    stream = b"".join(
        sse_event(text.encode("utf-8", "surrogatepass"), id=str(number))
        for number, text in enumerate(texts)
        if text.isprintable()
    )
    parser, events, start = EventParser(), [], 0
    for cut in [*sorted(cuts), len(stream)]:
        events += parser.feed(stream[start:cut])
        start = max(start, cut)
    wanted = [
        Event("message", str(number), text)
        for number, text in enumerate(texts)
        if text.isprintable() and text
    ]
    assert [event for event in events if event.data] == wanted


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_each_line_end_of_the_standard_ends_a_line_once(end):
    stream = f": a comment{end}event: reset{end}data: one{end}data:two{end}{end}".encode()
    parser = EventParser()
    events = [event for byte in stream for event in parser.feed(bytes([byte]))]
    # A lone CR at the very end waits, because an LF might follow.
    events += parser.feed(b": next")
    assert events == [Event("reset", "", "one\ntwo")]
