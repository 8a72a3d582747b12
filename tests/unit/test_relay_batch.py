"""Chunks as Pushpin's items: each small enough for it, whatever is in the records."""

from __future__ import annotations

import base64
import json

import pytest

from holdfast.events import MAX_VALUE_BYTES
from holdfast.positions import Position
from holdfast.relay_state import Appended
from holdfast.topics import TopicRules
from publisher.relay.batch import Record, batch, chunks

PUSHPIN_MOST_BYTES = 2_000_000  # its push_in_http_max_body_size


@pytest.mark.parametrize(
    "value",
    [b"x", b"\xfd" * MAX_VALUE_BYTES, b"\0" * MAX_VALUE_BYTES, b'"' * MAX_VALUE_BYTES],
    ids=["small", "binary", "control characters", "quotes"],
)
def test_an_item_is_never_more_than_pushpin_takes(value):
    rules = TopicRules("test", by_key=True)
    (chunk,) = chunks(rules, 0, 7, [Record(7, b"key", value, None)])
    made = batch("test", [(chunk, Appended(5, Position(4, (7,)), {"a2V5": "1-0"}))])
    items = [item for body in made.bodies for item in json.loads(body)["items"]]
    assert max(map(len, made.bodies)) < PUSHPIN_MOST_BYTES
    assert [item["channel"] for item in items] == ["events:test", "events:test:a2V5"]
    for item in items:
        assert b"id: 5/8\n" + chunk.events[0].text == _content(item)


def _content(item):
    """What a viewer gets of it."""
    stream = item["formats"]["http-stream"]
    if "content" in stream:
        return stream["content"].encode()
    return base64.b64decode(stream["content-bin"])
