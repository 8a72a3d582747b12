"""What Pushpin is sent for long-polls and NDJSON streams, and which waits there are."""

from __future__ import annotations

import json

import pytest

from holdfast import ndjson
from holdfast.formats import confirm_items, release_items, stale_hint
from holdfast.polls import FILTER, parse_wait
from holdfast.snapshots import Snapshot
from holdfast.updates import MAX_VALUE_BYTES
from publisher.push import MAX_BODY_BYTES, Publication, PushNode, bodies

SNAPSHOT = Snapshot("headline", b'"a\\nb"', 12, 7, 1_764_000_000_123)


def test_the_waits_are_1_to_120():
    assert [parse_wait(str(number)) for number in range(1, 121)] == list(range(1, 121))


@pytest.mark.parametrize(
    "text", ["", "0", "121", "-1", "+1", "01", "1.0", "1e1", " 1", "1\n", "\u0661"]
)
def test_anything_else_is_none(text):
    assert parse_wait(text) is None


@pytest.mark.parametrize("text", [False, True])
def test_every_item_of_a_release_is_chained(text):
    items = release_items(SNAPSHOT, text=text)
    channels = ["value:headline", "value:headline:ndjson", *(["updates"] if text else [])]
    assert [item["channel"] for item in items] == channels
    assert {(item["id"], item["prev-id"]) for item in items} == {("12", "7")}


def test_a_poll_is_answered_by_the_snapshot():
    (answer,) = [
        item["formats"]["http-response"]
        for item in release_items(SNAPSHOT, text=True)
        if "http-response" in item["formats"]
    ]
    assert answer["body"].encode() == SNAPSHOT.encode()
    assert answer["headers"] == {"Content-Type": "application/json", "ETag": '"12-json"'}


def test_a_release_is_one_line_of_ndjson():
    line = release_items(SNAPSHOT, text=False)[1]["formats"]["http-stream"]["content"]
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert json.loads(line) == json.loads(SNAPSHOT.encode())


def test_a_reset_is_a_line_that_is_no_snapshot():
    assert json.loads(ndjson.reset("unknown id")) == {"reset": {"reason": "unknown id"}}
    assert ndjson.reset("unknown id").endswith(b"}\n")


@pytest.mark.parametrize("text", [False, True])
def test_a_confirm_reaches_whatever_a_release_reaches(text):
    items = confirm_items("headline", 12, None, text=text)
    assert [item["channel"] for item in items] == [
        item["channel"] for item in release_items(SNAPSHOT, text=text)
    ]
    assert {(item["id"], item["prev-id"]) for item in items} == {("12", "12")}
    assert all(not item["formats"]["http-stream"]["content"].strip(":\n") for item in items)


def test_a_confirm_is_for_polls_on_a_channel_that_is_none():
    confirm = confirm_items("headline", 12, None, text=False)[0]
    assert FILTER == "require-sub"
    assert confirm["meta"]["require_sub"] not in ("", "value:headline", "stale", "until")
    assert "body" in confirm["formats"]["http-response"]


def test_a_hint_reaches_streams_and_polls():
    assert set(stale_hint()["formats"]) == {"http-stream", "http-response"}


def test_the_largest_value_fits_into_one_body():
    widest = b'"%b"' % (b"\\u0000" * (MAX_VALUE_BYTES // 6 - 1))
    items = release_items(Snapshot("n" * 64, widest, 12, 7, 1), text=True)
    assert len(list(bodies(items))) == 1
    assert sum(map(len, bodies(items))) < MAX_BODY_BYTES


def test_a_private_value_is_sent_on_channels_of_its_own_alone():
    class Nothing:
        def messages(self, _wanted):
            return {}

    node = PushNode("http://pushpin", Nothing(), private=lambda name: name == "secret")
    for name, prefix in (("secret", "private:secret"), ("open", "value:open")):
        release = tuple(release_items(Snapshot(name, b'"hush"', 12, 7, 1), text=False))
        confirm = Publication.confirm(name, 12, text=False)
        for publication in (Publication(name, 12, False, release), confirm):
            channels = [item["channel"] for item in node._items([publication])]
            assert channels == [prefix, f"{prefix}:ndjson"]
    hint = Publication("", 0, False, (stale_hint(),))
    assert [item["channel"] for item in node._items([hint])] == ["stale"]
