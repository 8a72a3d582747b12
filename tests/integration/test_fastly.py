"""The publisher's nodes against Fastly's API as its documents have it; and Fastly's own client."""

from __future__ import annotations

import logging
import time
from email.utils import formatdate

import fastly
import pytest
from fastly.api.publish_api import PublishApi
from fastly.api.purge_api import PurgeApi
from fastly.model.http_stream_format import HttpStreamFormat
from fastly.model.publish_item import PublishItem
from fastly.model.publish_item_formats import PublishItemFormats
from fastly.model.publish_request import PublishRequest

from holdfast.formats import release_items
from holdfast.positions import Position
from holdfast.relay_state import Appended
from holdfast.snapshots import Snapshot
from holdfast.topics import TopicRules
from publisher import metrics
from publisher.newest import Newest
from publisher.purge import EdgeNode
from publisher.push import Publication, PushNode
from publisher.relay.batch import FANOUT, Record, batch, chunks
from publisher.relay.node import RelayNode
from tests.fastly_api import FastlyApi

SERVICE = "SU1Z0isxPaozGVKXdv0eY"
TOKEN = "a token of global scope"
DEADLINE_S = 30.0


class Nothing:
    """Redis, of which WebSockets are told nothing."""

    def versions(self, names):
        return {}

    snapshots = versions


NEWEST = Newest(Nothing())


@pytest.fixture
def api():
    api = FastlyApi(SERVICE, TOKEN)
    yield api
    api.close()


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def edge(api, clock):
    return EdgeNode(api.url, SERVICE, TOKEN, clock)


@pytest.fixture
def fanout(api, clock):
    return PushNode(api.grip_url, NEWEST, clock, TOKEN)


def names(count, length=64):
    return [f"value:{number:0{length}d}" for number in range(count)]


def submit(node, work):
    """One turn of a node, without its thread: whether it took the work."""
    attempt = node.submit(work)
    node.turn(0)
    return attempt.result(0)


def release(name="counter", version=8, value=b"42"):
    items = release_items(Snapshot(name, value, version, version - 1, 1), text=True)
    return Publication(name, version, True, tuple(items))


# -- purges


def test_any_number_of_keys_is_purged_softly_in_batches_that_fastly_takes(api, edge):
    """Names of 64 characters: 256 of them would be more than its header may have."""
    keys = [f"v{number}" for number in range(600)] + names(600)
    assert submit(edge, [(key, 1764000000123) for key in keys])
    assert api.faults == []
    assert [key for purge in api.purges for key in purge.keys] == keys
    assert all(purge.soft for purge in api.purges)
    assert max(len(purge.keys) for purge in api.purges) == 256


def test_what_was_missed_is_owed_as_one_soft_purge_of_everything(api, edge, clock):
    """A purge_all would leave the edge nothing to show while the origin is away, too."""
    api.purge_answers.append((503, {}))
    assert not submit(edge, [("value:a", 1)])
    assert not submit(edge, [("value:b", 2)])
    clock.now += 60
    edge.turn(0)
    assert not edge.failing
    assert [(purge.keys, purge.soft) for purge in api.purges] == [(("all",), True)]
    assert api.faults == []


def test_a_wrong_token_is_said_once_and_counted(api, clock, caplog):
    node = EdgeNode(api.url, SERVICE, "wrong", clock)
    count = metrics.PURGES.labels(api.url, "refused")
    before = count._value.get()
    for _ in range(3):
        assert not submit(node, [("value:a", 1)])
        clock.now += 60
    assert count._value.get() == before + 3
    (line,) = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert "HOLDFAST_FASTLY_KEY" in line
    assert "401" in line
    assert "wrong" not in line


def test_a_service_of_somebody_else_is_refused(api, clock, caplog):
    assert not submit(EdgeNode(api.url, "another", TOKEN, clock), [("value:a", 1)])
    assert "403" in caplog.text


@pytest.mark.parametrize(
    ("headers", "least_s", "most_s"),
    [
        (lambda: {"Retry-After": "40"}, 40, 40),
        (lambda: {"Retry-After": formatdate(time.time() + 120, usegmt=True)}, 60, 120),
        (
            lambda: {
                "Fastly-RateLimit-Remaining": "0",
                "Fastly-RateLimit-Reset": str(int(time.time()) + 900),
            },
            800,
            900,
        ),
        (lambda: {"Retry-After": "99999999"}, 3600, 3600),
        (lambda: {"Retry-After": "soon"}, 0, 5),
        (lambda: {"Retry-After": formatdate(time.time() - 60, usegmt=True)}, 0, 5),
        (lambda: {}, 0, 5),
    ],
)
def test_who_asks_too_often_waits_as_long_as_he_is_told(api, edge, clock, headers, least_s, most_s):
    api.purge_answers.append((429, headers()))  # dates count from now, not from the collection
    assert not submit(edge, [("value:a", 1)])
    if least_s:
        clock.now += least_s - 1
        assert not submit(edge, [("value:b", 2)])
        assert api.purges == []  # not even asked
    clock.now += most_s - least_s + 2
    assert submit(edge, [("value:c", 3)])
    assert [purge.keys for purge in api.purges] == [("all",), ("value:c",)]


def test_another_reason_to_fail_is_said_too(api, edge, clock, caplog):
    api.purge_answers.extend([(503, {}), (503, {}), (429, {"Retry-After": "7"}), (429, {})])
    for _ in range(4):
        submit(edge, [("value:a", 1)])
        clock.now += 60
    lines = [record.message for record in caplog.records if "failed" in record.message]
    assert len(lines) == 2
    assert '503: {"msg": "as ordered"}' in lines[0]
    assert "429" in lines[1]


# -- Fanout


def test_a_release_reaches_fanout_with_the_token_of_the_settings(api, fanout):
    assert submit(fanout, [release()])
    assert api.faults == []
    assert [(each.channel, each.id, each.prev_id) for each in api.messages] == [
        ("value:counter", "8", "7"),
        ("value:counter:ndjson", "8", "7"),
        ("updates", "8", "7"),
    ]
    assert api.messages[0].stream.startswith(b"id: 8\ndata: {")


def test_a_grip_url_may_have_a_token_of_its_own(api, clock):
    assert submit(PushNode(f"{api.grip_url}?key={TOKEN}", NEWEST, clock, "another's"), [release()])
    assert not submit(PushNode(f"{api.grip_url}?key=wrong", NEWEST, clock, TOKEN), [release()])
    assert len(api.faults) == 1


def test_the_token_goes_to_no_pushpin(api, clock):
    """Its control endpoint needs none, and may be anybody's."""
    node = PushNode(f"{api.url}", NEWEST, clock, TOKEN)
    assert not submit(node, [release()])
    assert api.faults == ["/publish/: 404 Record not found"]
    assert "key" not in node._config


def test_requests_to_fanout_stay_small(api, fanout):
    big = b'"' + b"x" * 16_000 + b'"'
    work = [release(f"v{number}", 8, big) for number in range(40)]
    assert submit(fanout, work)
    assert api.faults == []
    assert len(api.messages) == 120
    assert max(api.bodies) <= 65_536


def test_fanout_that_was_away_is_owed_confirms(api, fanout, clock):
    api.publish_answers.append((500, {}))
    assert not submit(fanout, [release()])
    clock.now += 60
    fanout.turn(0)
    assert not fanout.failing
    assert [(each.id, each.prev_id) for each in api.messages] == [("8", "8")] * 3


def test_fanout_proves_that_it_is_back_without_a_hint(api, fanout, clock):
    api.publish_answers.append((500, {}))
    item = {"channel": "stale", "formats": {"http-stream": {"action": "hint"}}}
    hint = Publication("", 0, False, (item,))
    assert submit(fanout, [hint])  # not sent: Fastly knows none
    assert api.messages == []
    assert not submit(fanout, [release()])
    fanout._owed.clear()
    clock.now += 60
    fanout.turn(0)
    assert not fanout.failing
    assert [(each.channel, each.stream) for each in api.messages] == [("probe", b"")]
    assert api.faults == []


def test_a_redirect_is_an_error(api, clock, caplog):
    """Followed, it would become a GET, and its 200 a release that nobody got."""
    api.publish_answers.append((301, {"Location": f"{api.grip_url}/publish/"}))
    assert not submit(PushNode(api.grip_url, NEWEST, clock, TOKEN), [release()])
    assert "301" in caplog.text
    assert api.faults == []


def test_the_relays_items_are_of_a_size_that_fanout_takes(api, clock):
    records = [Record(offset, b"k", b'{"a": "' + b'"' * 990 + b'"}', None) for offset in range(400)]
    made = list(chunks(TopicRules("test", by_key=True), 0, 0, records, FANOUT))
    appended = [
        (chunk, Appended(1, Position(0, (chunk.position,)), {"aw": "0/0"})) for chunk in made
    ]
    node = RelayNode(api.grip_url, lambda *_: None, clock, TOKEN)
    assert submit(node, batch("test", appended, FANOUT))
    assert api.faults == []
    assert sum(each.stream.count(b"data: ") for each in api.messages) == 2 * 400


# -- Fastly's own client, against the same server


@pytest.fixture
def client(api):
    configuration = fastly.Configuration(host=api.url)
    configuration.api_token = TOKEN
    with fastly.ApiClient(configuration) as client:
        yield client


def test_fastlys_client_purges(api, client):
    purges = PurgeApi(client)
    assert purges.purge_tag(SERVICE, "value:a", fastly_soft_purge=1).status == "ok"
    keys = names(200)
    assert set(purges.bulk_purge_tag(SERVICE, surrogate_key=" ".join(keys)).to_dict()) == set(keys)
    assert purges.purge_all(SERVICE).status == "ok"
    assert [(purge.keys, purge.soft) for purge in api.purges] == [
        (("value:a",), True),
        (tuple(keys), False),
        ((), False),
    ]
    assert api.faults == []


def test_fastlys_client_is_refused_what_fastly_refuses(api, client):
    purges = PurgeApi(client)
    for keys in ([f"k{number}" for number in range(257)], names(256), ["x" * 1025]):
        with pytest.raises(fastly.ApiException) as refused:
            purges.bulk_purge_tag(SERVICE, surrogate_key=" ".join(keys))
        assert refused.value.status == 400
    client.configuration.api_token = "wrong"
    with pytest.raises(fastly.ApiException) as refused:
        purges.purge_all(SERVICE)
    assert refused.value.status == 401


def test_fastlys_client_publishes(api, client):
    item = PublishItem(
        channel="value:a",
        id="8",
        prev_id="7",
        formats=PublishItemFormats(http_stream=HttpStreamFormat(content="id: 8\ndata: 1\n\n")),
    )
    answer = PublishApi(client).publish(SERVICE, publish_request=PublishRequest(items=[item]))
    assert answer == "Published\n"
    (message,) = api.messages
    assert (message.channel, message.id, message.prev_id) == ("value:a", "8", "7")
    assert message.stream == b"id: 8\ndata: 1\n\n"
    assert api.faults == []
