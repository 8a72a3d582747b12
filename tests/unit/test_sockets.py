"""WebSocket events that are cut short or garbage, the memory of a socket, few messages."""

from __future__ import annotations

import contextlib
import json

import pytest
from gripcontrol import WebSocketEvent
from hypothesis import given
from hypothesis import strategies as st

from holdfast.messages import MAX_SUBSCRIPTIONS
from origin.socket_events import (
    MAX_PACKED_BYTES,
    EventsError,
    decode_events,
    encode_events,
    pack,
)
from origin.socket_memory import BURST, SocketMemory, digest
from stack.render import SOCKET_SUBSCRIPTIONS

EVENTS = st.lists(
    st.builds(WebSocketEvent, st.sampled_from(["TEXT", "BINARY", "PING"]), st.binary()), min_size=1
)


@given(EVENTS)
def test_whole_events_are_read_and_cut_ones_refused(events):
    body = encode_events(events)
    assert [(it.type, it.content) for it in decode_events(body)] == [
        (it.type, it.content) for it in events
    ]
    with pytest.raises(EventsError):
        decode_events(body[:-1])


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else(body):
    with contextlib.suppress(EventsError):
        decode_events(body)


def test_a_memory_comes_back_as_it_was():
    memory = SocketMemory(tokens=7, at_ms=5)
    memory.subscribed.add(digest("counter"))
    again = SocketMemory.read(memory.write())
    assert again == memory
    assert again.unsubscribe(["counter", "visits", "counter"]) == ["counter"]
    assert again.subscribed == set()
    with pytest.raises(ValueError, match="unpack"):
        SocketMemory.read("")


def test_messages_are_earned_by_time_and_no_clock_that_is_behind_gives_any_twice():
    memory = SocketMemory(tokens=0, at_ms=10_000)
    assert not memory.take()
    memory.fill(9_000)
    assert not memory.take()
    memory.fill(10_010)
    assert memory.take()
    memory.fill(10_000_000)
    assert memory.tokens == BURST


@given(st.lists(st.text(max_size=4000)))
def test_answers_travel_in_few_messages_and_keep_their_order(texts):
    messages = list(pack([json.dumps({"text": text}).encode() for text in texts]))
    heard = []
    for message in messages:
        document = json.loads(message)
        several = isinstance(document, list)
        assert len(message) <= MAX_PACKED_BYTES + 1000 or not several
        heard.extend(document if several else [document])
    assert [it["text"] for it in heard] == texts


def test_pushpin_takes_as_many_subscriptions_as_are_promised():
    assert SOCKET_SUBSCRIPTIONS == MAX_SUBSCRIPTIONS
