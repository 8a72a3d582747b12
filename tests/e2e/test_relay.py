"""/events/{topic}/ on the real parts: complete, in order, once; whatever breaks meanwhile."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import signal
import threading
import time
from contextlib import asynccontextmanager

import httpx
import pytest

from holdfast.config import Settings
from holdfast.events import MAX_VALUE_BYTES
from holdfast.positions import Position
from holdfast.relay_state import Appended, Chunk, Event, RelayState
from loadtest.relay_viewer import Viewer, stream
from loadtest.sse import EventParser
from publisher.kafka import ensure_named
from tests.e2e.metrics import metric
from tests.e2e.raw_record import produce_with_header
from tests.e2e.relay_topic import RelayTopic
from tests.e2e.viewers import until

DEADLINE_S = 60.0


async def eventually(condition, what, timeout_s=DEADLINE_S):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what}"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def watching(*viewers):
    for viewer in viewers:
        viewer.start()
    try:
        await eventually(lambda: all(viewer.position for viewer in viewers), "all connected")
        yield viewers
    finally:
        for viewer in viewers:
            await viewer.stop()


def assert_complete(topic, viewers, *, resets=0):
    for viewer in viewers:
        assert viewer.violations == []
        assert len(viewer.resets) <= resets, viewer.resets


async def all_at_end(topic, viewers):
    await asyncio.to_thread(topic.flush)
    await eventually(
        lambda: all(viewer.expected == topic.next for viewer in viewers), "every record at everyone"
    )


def read(url, count, *, last_id="", timeout_s=30.0):
    """The first `count` events of a stream, whatever they are."""

    async def collect():
        parser, events = EventParser(), []
        async with asyncio.timeout(timeout_s):
            async for piece in stream(url, last_id):
                events.extend(parser.feed(piece))
                if len(events) >= count:
                    return events[:count]
        return events

    return asyncio.run(collect())


def test_a_record_is_an_event(stack):
    viewer = _Collector(f"{stack.pushpin_url}/events/test/")
    with viewer:
        stack.produce("test", "hello")
        until(lambda: viewer.events, "the event")
        assert [(event.event, event.data) for event in viewer.events] == [("message", "hello")]


def test_what_is_not_listed_is_as_unknown_as_what_is_not_there(stack):
    for name in ("updates", "ticks", "updates.rejected", "__consumer_offsets", "nobody"):
        answer = httpx.get(f"{stack.url}/events/{name}/")
        assert (answer.status_code, answer.json()["detail"]) == (404, f"no topic is called {name}")
        assert httpx.get(f"{stack.url}/events/{name}").status_code == 404
    answer = httpx.get(f"{stack.url}/events/relay.nobody/")
    assert answer.json()["detail"] == "no topic is called relay.nobody"


def test_without_its_slash_a_topic_is_redirected(stack):
    answer = httpx.get(f"{stack.url}/events/test?from=earliest")
    assert (answer.status_code, answer.headers["location"]) == (308, "/events/test/?from=earliest")


@pytest.mark.parametrize("query", ["from=yesterday", "from=-1", "from=", "key=a"])
def test_a_wrong_parameter_is_told(stack, query):
    assert httpx.get(f"{stack.url}/events/test/?{query}").status_code == 400


def test_everything_comes_once_and_in_order_whatever_breaks(stack, redis_client):
    """A new topic; viewers that drop at random; a relay killed, Redis wiped, Pushpin killed."""
    topic = RelayTopic(stack).wait_relayed()
    viewers = [Viewer(topic.url) for _ in range(10)]
    late = [Viewer(topic.url, "?from=earliest") for _ in range(2)]
    rng = random.Random(6)

    async def play():
        async with watching(*viewers):
            for step in range(60):
                await asyncio.to_thread(topic.add, 400)
                for viewer in viewers:
                    if rng.random() < 0.05:
                        viewer.drop()
                if step == 15:
                    os.kill(stack.pid("relay-1"), signal.SIGKILL)
                elif step == 30:
                    redis_client.flushall()
                elif step == 45:
                    os.kill(stack.pid("pushpin-1"), signal.SIGKILL)
            async with watching(*late):
                await all_at_end(topic, [*viewers, *late])

    asyncio.run(play())
    assert_complete(topic, [*viewers, *late])
    assert sum(viewer.connected for viewer in viewers) > len(viewers) + 10
    assert all(viewer.events == 24_000 for viewer in [*viewers, *late])


def test_sequences_never_go_back_when_redis_is_wiped(stack, redis_client):
    topic = RelayTopic(stack, partitions=1).wait_relayed()
    with _Collector(topic.url) as viewer:
        topic.add(3)
        until(lambda: len(viewer.events) == 3, "three events")
        redis_client.flushall()
        until(lambda: redis_client.exists(f"relay:{topic.name}"), "the relay to notice")
        topic.add(3)
        until(lambda: len(viewer.events) == 6, "three more")
    sequences = [Position.parse(event.id).sequence for event in viewer.events]
    assert sequences == sorted(set(sequences))


def test_what_was_appended_but_never_sent_reaches_everybody(stack, redis_client):
    """A relay that dies between Redis and Pushpin, as seen by who waits and by who comes then."""
    topic = RelayTopic(stack, partitions=1).wait_relayed()
    state = RelayState(redis_client)

    async def play():
        before, after = Viewer(topic.url), Viewer(topic.url)
        async with watching(before):
            topic.add(1)
            await all_at_end(topic, [before])
            await asyncio.to_thread(stack.stop_part, "relay-1")
            try:
                topic.add(1)
                topic.flush()
                place = state.place(topic.name)
                chunk = Chunk(0, 1, (Event(1, None, b"event: message\ndata: 0 1 x\n\n"),))
                (done,) = state.append(topic.name, place.topic_id, [chunk], look=place.look)
                assert isinstance(done, Appended)
                after.position = Position.parse(before.last_id)
                after.expected = dict(before.expected)
                after.start()
                await all_at_end(topic, [after])
            finally:
                await asyncio.to_thread(stack.start_part, "relay-1")
            topic.add(1)
            await all_at_end(topic, [before, after])
            await after.stop()
        return before, after

    viewers = asyncio.run(play())
    assert_complete(topic, viewers)
    assert [viewer.events for viewer in viewers] == [3, 2]


def test_partitions_that_are_added_are_relayed(stack):
    topic = RelayTopic(stack, partitions=1).wait_relayed()
    viewers = [Viewer(topic.url) for _ in range(2)]

    async def play():
        async with watching(*viewers):
            topic.add(5)
            await all_at_end(topic, viewers)
            await asyncio.to_thread(topic.grow, 3)
            topic.add(25)
            viewers[0].drop()
            await all_at_end(topic, viewers)

    asyncio.run(play())
    assert_complete(topic, viewers)


def test_a_key_has_a_stream_of_its_own(stack, redis_client):
    topic = RelayTopic(stack, partitions=2).wait_relayed()
    with _Collector(f"{topic.url}?key=a%2Fb") as one, _Collector(f"{topic.url}?key=c") as other:
        for number in range(20):
            key = b"a/b" if number % 2 else b"c"
            topic.put(b"%b %d" % (key, number), number % 2, key=key)
        topic.put(b"nobody's", 0)
        topic.flush()
        until(lambda: len(one.events) == 10 and len(other.events) == 10, "ten each")
        seen = one.events[4].id
    assert [event.data for event in one.events] == [f"a/b {n}" for n in range(1, 20, 2)]
    assert [event.data for event in other.events] == [f"c {n}" for n in range(0, 20, 2)]
    for wiped in (False, True):
        if wiped:  # from Kafka instead of Redis
            redis_client.flushall()
            until(lambda: redis_client.exists(f"relay:{topic.name}"), "the relay to notice")
        events = read(f"{topic.url}?key=a/b", 5, last_id=seen)
        assert [event.data for event in events] == [f"a/b {n}" for n in range(11, 20, 2)]


def test_from_earliest_and_from_a_time(stack):
    topic = RelayTopic(stack, partitions=1).wait_relayed()
    then = int(time.time() * 1000) - 60_000  # not long ago: Kafka deletes what is older than a week
    for number in range(6):
        topic.put(b"%d" % number, timestamp=then + number)
    topic.flush()
    events = read(f"{topic.url}?from=earliest", 6)
    assert [event.data for event in events] == list("012345")
    assert [event.data for event in read(f"{topic.url}?from={then + 4}", 2)] == ["4", "5"]


def test_who_cannot_go_on_is_told_why(stack):
    topic = RelayTopic(stack, "brief", partitions=1).wait_relayed()
    with _Collector(topic.url) as viewer:
        for count in (5, 10, 15, 20):  # a recovery may not be further behind than 10 either
            topic.add(5)
            topic.flush()
            until(lambda count=count: len(viewer.events) == count, "all")
    sequence = viewer.events[-1].id.split("/")[0]
    topic.delete_before(0, 15)
    for id_, reason in (
        (viewer.events[5].id, "more than 10 records behind"),
        (f"{sequence}/12", "records since then are gone"),
        (f"{sequence}/21", "unknown id"),
        (f"{sequence}/20,1", "unknown id"),
        ("what", "unreadable id"),
        ("17", "unreadable id"),
    ):
        (event,) = read(topic.url, 1, last_id=id_)
        if reason == "records since then are gone" and event.event == "message":
            # Redis still has them: nothing is lost to anybody.
            assert event.data.startswith("0 12 ")
            continue
        assert (event.event, json.loads(event.data)) == ("reset", {"reason": reason}), id_
        assert event.id == viewer.events[-1].id
    events = read(f"{topic.url}?from=earliest", 5)
    assert [event.data.split()[1] for event in events] == ["15", "16", "17", "18", "19"]


def test_records_that_are_gone_are_told_when_only_kafka_could_have_them(stack, redis_client):
    topic = RelayTopic(stack, "brief", partitions=1).wait_relayed()
    with _Collector(topic.url) as viewer:
        topic.add(9)
        topic.flush()
        until(lambda: len(viewer.events) == 9, "all")
    topic.delete_before(0, 5)
    redis_client.delete(f"events:{topic.name}")
    (event,) = read(topic.url, 1, last_id=viewer.events[2].id)
    assert json.loads(event.data) == {"reason": "records since then are gone"}


def test_a_topic_that_is_re_created_is_told(stack):
    topic = RelayTopic(stack, partitions=1).wait_relayed()
    gaps = metric(stack.relay_urls, "holdfast_relay_gaps_total", topic=topic.name)
    viewer = Viewer(topic.url)

    async def play():
        async with watching(viewer):
            topic.add(5)
            await all_at_end(topic, [viewer])
            await asyncio.to_thread(topic.delete)
            await asyncio.to_thread(topic.create, 1)
            topic.add(2)
            topic.flush()
            await eventually(lambda: viewer.resets, "the reset")
            topic.add(2)
            await all_at_end(topic, [viewer])

    asyncio.run(play())
    assert set(viewer.resets) <= {
        '{"reason":"the topic was re-created"}',
        '{"reason":"unknown id"}',
    }
    assert metric(stack.relay_urls, "holdfast_relay_gaps_total", topic=topic.name) > gaps


def test_poison_is_shown_as_what_it_is_live_and_again(stack):
    """Records that other relays choke on, straight from Pushpin and when resumed."""
    topic = RelayTopic(stack, partitions=1).wait_relayed()
    largest = ('{"text": "' + "x\\n\u2028" * 200_000)[: MAX_VALUE_BYTES - 10].encode()[:899_000]
    largest = largest.decode(errors="ignore").encode()
    sent = [
        (b"one\rtwo\r\nthree\nfour", {}),
        (b"event: reset\n\ndata: forged", {}),
        (b"\0\xc2\x85\xe2\x80\xa8\xe2\x80\xa9", {}),
        (b"named", {"headers": [("event", b"price")]}),
        (b"misnamed", {"headers": [("event", b"x\ny"), ("other", None)]}),
        (b"\xff\xfe", {}),
        (None, {"key": b"k"}),
        (b"", {}),
        (b"\xfd" * MAX_VALUE_BYTES, {}),
        (largest, {}),
        (b"y" * (MAX_VALUE_BYTES + 1), {}),
        (b"\n" * 400_000, {}),
        (b"the end", {}),
    ]
    failed = metric(stack.relay_urls, "holdfast_publishes_total", result="failed")
    with _Collector(topic.url) as live:
        start = live.wait_id()
        for value, more in sent:
            topic.put(value, **more)
        topic.flush()
        until(lambda: len(live.events) == len(sent), "all", 60)
    # All of it live: Pushpin refused nothing, and nobody had to recover.
    assert metric(stack.relay_urls, "holdfast_publishes_total", result="failed") == failed
    again = read(topic.url, len(sent), last_id=start)
    for events in (live.events, again):
        found = [(event.event, event.data) for event in events]
        assert found[:5] == [
            ("message", "one\ntwo\nthree\nfour"),
            ("message", "event: reset\n\ndata: forged"),
            ("message", "\0\u0085\u2028\u2029"),
            ("price", "named"),
            ("message", "misnamed"),
        ]
        assert found[5:8] == [("binary", "//4="), ("tombstone", '{"key":"k"}'), ("message", "")]
        assert found[8][0] == "binary"
        assert base64.b64decode(found[8][1]) == b"\xfd" * MAX_VALUE_BYTES
        assert found[9] == ("message", largest.decode())
        assert found[10][0] == "oversized"
        assert json.loads(found[10][1])["bytes"] == MAX_VALUE_BYTES + 1
        assert found[11][0] == "oversized"
        assert found[12] == ("message", "the end")


def test_a_header_that_is_not_utf_8_is_no_reason_to_stop(stack):
    topic = RelayTopic(stack, partitions=1).wait_relayed()
    with _Collector(topic.url) as live:
        produce_with_header(stack.kafka, topic.name, b"odd", b"\xff\xfe")
        topic.put(b"after it", headers=[("event", b"price")])
        topic.flush()
        until(lambda: len(live.events) == 2, "both", 30)
    found = [(event.event, event.data) for event in live.events]
    assert found == [("message", "odd"), ("price", "after it")]


def test_a_name_that_kafka_refuses_keeps_no_other_waiting(stack):
    """One that differs from a topic's only by . and _ is refused for good."""
    topic = RelayTopic(stack, partitions=1)
    other = f"{topic.name}.other"
    settings = Settings(kafka=stack.kafka)
    stopping = threading.Event()
    timer = threading.Timer(30, stopping.set)  # only if it would never end
    timer.start()
    try:
        ensure_named(settings, [topic.name.replace(".", "_"), other], stopping)
        assert not stopping.is_set()
    finally:
        timer.cancel()
    assert other in topic.admin.list_topics(timeout=10).topics


def test_only_the_chosen_fields_leave(stack):
    topic = RelayTopic(stack, "shown", partitions=1).wait_relayed()
    topic.put(b'{"id": 1, "secret": 2}')
    topic.put(b"secret")
    topic.flush()
    events = read(f"{topic.url}?from=earliest", 2)
    assert [(event.event, event.data) for event in events] == [
        ("message", '{"id":1}'),
        ("withheld", '{"partition":0,"offset":1}'),
    ]


class _Collector:
    """Keeps what a stream says, on a thread of its own."""

    def __init__(self, url):
        self.events, self._url, self._parser = [], url, EventParser()
        self._raw = b""

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._collect())
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.wait_id()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(10)

    def wait_id(self):
        """The position that the stream began with."""
        until(lambda: b"\n\n" in self._raw, "a first word")
        return self._raw.split(b"\n")[0].removeprefix(b"id: ").decode()

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.gather(self._task, return_exceptions=True))
        self._loop.close()

    async def _collect(self):
        async for piece in stream(self._url):
            self._raw = self._raw or piece
            self.events.extend(self._parser.feed(piece))
