"""A record as an event: whatever the record holds, a parser gets it back, and nothing else."""

from __future__ import annotations

import base64
import json

import pytest
from httpx_sse._decoders import SSEDecoder
from hypothesis import given
from hypothesis import strategies as st

from holdfast.events import MAX_EVENT_BYTES, MAX_VALUE_BYTES, encode
from holdfast.formats import encode_key, with_id
from holdfast.positions import Position
from holdfast.topics import TopicRules
from loadtest.sse import Event, EventParser

RULES = TopicRules("test")
ID = "17/1,2"
# What has a meaning to some parser, or looks as if it had.
NASTY = st.lists(
    st.sampled_from(
        (
            *("\r", "\n", "\r\n", "\n\n", "\0", "\u2028", "\u2029", "\u0085", "\v", "\f", "\x1c"),
            *(
                ":",
                " ",
                "data: x",
                "event: reset\ndata: {}",
                "id: 9",
                "retry: 1",
                "\ufeff",
                "é",
                "💡",
            ),
        )
    )
    | st.text(max_size=5),
    max_size=12,
).map("".join)


def event_of(value, *, rules=RULES, key=None, headers=None) -> bytes:
    return with_id(ID, encode(rules, 1, 7, key, value, headers))


def parse(body: bytes, size: int) -> list[Event]:
    parser = EventParser()
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    return [event for chunk in chunks for event in parser.feed(chunk)]


def only(value, **more) -> Event:
    (event,) = parse(event_of(value, **more), 65_536)
    return event


def as_lf(text: str) -> str:
    """What any SSE parser makes of line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(NASTY, st.sampled_from([1, 2, 3, 7, 1_000]))
def test_text_comes_back_whatever_is_in_it_and_wherever_it_is_cut(text, size):
    assert parse(event_of(text.encode()), size) == [Event("message", ID, as_lf(text))]


@given(st.lists(NASTY, min_size=2, max_size=5))
def test_events_back_to_back_stay_apart(texts):
    body = b"".join(event_of(text.encode()) for text in texts)
    assert [event.data for event in parse(body, 1)] == [as_lf(text) for text in texts]


@given(NASTY)
def test_another_parser_reads_the_same(text):
    decoder = SSEDecoder()
    # Nothing but line ends as the specification has them may split it.
    lines = event_of(text.encode()).removesuffix(b"\n").split(b"\n")
    events = [event for line in lines if (event := decoder.decode(line.decode())) is not None]
    assert [(event.event, event.id, event.data) for event in events] == [
        ("message", ID, as_lf(text))
    ]


@given(st.binary(max_size=40))
def test_any_bytes_make_one_event(value):
    event = only(value)
    try:
        assert event == Event("message", ID, as_lf(value.decode()))
    except UnicodeDecodeError:
        assert event == Event("binary", ID, base64.b64encode(value).decode())


@given(st.none() | st.binary(max_size=80))
def test_any_event_header_leaves_one_event(name):
    event = only(b"x", headers=[("other", b"1"), ("event", name)])
    assert (event.id, event.data) == (ID, "x")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (b"price", "price"),
        ("größe".encode(), "größe"),
        (b"a: b", "a: b"),
        (b"reset", "message"),
        (b"oversized", "message"),
        (b"x\ndata: forged", "message"),
        (b"x\rid: 9", "message"),
        (b"x\0", "message"),
        (b"", "message"),
        (b"x" * 65, "message"),
        (b"\xff", "message"),
        (None, "message"),
    ],
)
def test_the_header_event_names_the_event_unless_it_may_not(name, said):
    assert only(b"x", headers=[("event", name)]).event == said


def test_an_empty_record_is_an_empty_message():
    assert only(b"") == Event("message", ID, "")


@pytest.mark.parametrize(
    ("key", "data"),
    [
        (b"42", {"key": "42"}),
        (b"a\nb", {"key": "a\nb"}),
        (b"\xff", {"key_base64": "/w=="}),
        (None, {}),
    ],
)
def test_a_tombstone_is_an_event_of_its_own(key, data):
    event = only(None, key=key)
    assert (event.event, json.loads(event.data)) == ("tombstone", data)


def test_the_largest_record_is_shown_and_a_larger_one_told():
    largest = b"\xc3\xa9" * (MAX_VALUE_BYTES // 2)
    assert only(largest).data == largest.decode()
    event = only(largest + b"x")
    assert event.event == "oversized"
    assert json.loads(event.data) == {"partition": 1, "offset": 7, "bytes": MAX_VALUE_BYTES + 1}


def test_the_largest_binary_record_is_shown():
    event = only(b"\xff" * MAX_VALUE_BYTES)
    assert event.event == "binary"
    assert base64.b64decode(event.data) == b"\xff" * MAX_VALUE_BYTES


def test_no_event_is_larger_than_its_limit():
    event = event_of(b"\n" * MAX_VALUE_BYTES)
    assert len(event) < MAX_EVENT_BYTES
    assert b"oversized" in event


@pytest.mark.parametrize(
    ("value", "event", "data"),
    [
        (b'{"id": 1, "secret": 2, "state": "a\\nb"}', "message", '{"id":1,"state":"a\\nb"}'),
        (b'{"secret": 2}', "message", "{}"),
        (b'{"id": 12345678901234567890}', "message", '{"id":12345678901234567890}'),
        (b'{"id": {"secret": 1}}', "message", '{"id":{"secret": 1}}'),
        (b"[1]", "withheld", '{"partition":1,"offset":7}'),
        (b"secret", "withheld", '{"partition":1,"offset":7}'),
        (b"\xff", "withheld", '{"partition":1,"offset":7}'),
        (b"[" * 5_000, "withheld", '{"partition":1,"offset":7}'),
        (None, "tombstone", "{}"),
    ],
)
def test_only_the_chosen_fields_are_shown(value, event, data):
    rules = TopicRules("test", fields=("id", "state"))
    assert only(value, rules=rules, key=b"secret") == Event(event, ID, data)


@given(st.integers(0, 10**16 - 1), st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=9))
def test_a_position_is_read_as_it_is_written(sequence, offsets):
    position = Position(sequence, tuple(offsets))
    assert Position.parse(position.id) == position
    assert Position.parse(position.grip_id) == position


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "1/", "/1", "a/1", "1/1,", "1/,1", "1/-1", "1/1 ", "1/1\n", "1/1;x"),
        *("1/\u0661", "1/" + "9" * 20, "9" * 17 + "/1"),
    ],
)
def test_what_is_no_position_is_none(text):
    assert Position.parse(text) is None


@given(st.binary(max_size=30))
def test_a_key_has_no_sign_that_a_channel_or_a_path_would_read(key):
    assert set(encode_key(key)) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )
