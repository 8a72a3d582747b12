"""What a viewer of a topic gets, on a real Redis; Kafka is not there unless a test says so."""

from __future__ import annotations

import pytest

from holdfast.positions import Position
from holdfast.relay_state import Chunk, Event, RelayState
from holdfast.topics import TopicRules
from loadtest.sse import EventParser
from origin.catch_up import PAGE_BYTES, CatchUp
from origin.replay import Replay

TOPIC, ID = "test", "the topic's id"
RULES = TopicRules(TOPIC, by_key=True, max_replay=1_000_000)


class NoKafka(Replay):
    """Nothing here needs Kafka."""

    def __init__(self):
        super().__init__("")

    def ends(self, topic, partitions):
        raise AssertionError("Kafka was asked for its ends")

    def read(self, topic, start, end):
        raise AssertionError(f"Kafka was read from {start} to {end}")


class MovingState(RelayState):
    """Somebody appends an event between any two reads."""

    def view(self, *arguments, **more):
        view = super().view(*arguments, **more)
        next_ = view.place.position.offset(0)
        self.append(TOPIC, ID, [chunk(0, next_, next_)])
        return view


def chunk(partition, position, *offsets, text=b"data: x\n\n"):
    return Chunk(partition, position, tuple(Event(offset, "a2V5", text) for offset in offsets))


def read_on(catch_up, at, key=None):
    """Follow the links as Pushpin does: all events, and the position of the hold."""
    events = []
    parser = EventParser()
    for _ in range(1_000):
        page = catch_up.after(TOPIC, RULES, at, key)
        events.extend(parser.feed(page.body))
        if page.hold is not None:
            return events, page.position
        assert page.position != at, "a link to itself"
        at = page.position
    raise AssertionError("it never ends")


@pytest.fixture
def relay(client):
    return RelayState(client)


def test_a_topic_that_moves_between_two_reads_is_no_link_to_itself(client):
    relay = MovingState(client)
    relay.put(TOPIC, ID, [0])
    relay.append(TOPIC, ID, [chunk(0, 0, 0, 1, 2)])
    # A sequence that a former Redis gave: the second read, from the oldest on, finds the place.
    at = Position(9_000_000_000_000_000, (1,))
    page = CatchUp(relay, NoKafka()).after(TOPIC, RULES, at, None)
    assert page.position.offsets >= (3,)
    assert [event.id.split("/")[1] for event in EventParser().feed(page.body)][:2] == ["2", "3"]


def fill(relay, chunks, events, bytes_each):
    """So many chunks of so many events each, in partition 0; as of 2001, 1 ms apart."""
    relay.put(TOPIC, ID, [0], now_us=10**15)
    for first in range(0, chunks * events, events):
        numbers = range(first, first + events)
        made = chunk(0, first, *numbers, text=b"data: " + b"x" * bytes_each + b"\n\n")
        relay.append(TOPIC, ID, [made], now_us=10**15 + 1_000 * (first + 1))
    return relay.view(TOPIC, 0, 10**9).entries


def test_an_id_in_the_middle_of_a_chunk_goes_on_in_redis(relay):
    """However much has come before and after it."""
    entries = fill(relay, 20, 50, 2_000)
    entry = entries[12]
    for seen in (1, 49, 50):
        at = Position(entry.first + seen - 1, (600 + seen,))
        events, end = read_on(CatchUp(relay, NoKafka()), at)
        assert end.offsets == (1_000,)
        assert [event.id.split("/")[1] for event in events] == [
            str(next_) for next_ in range(601 + seen, 1_001)
        ]


def test_what_was_read_from_kafka_under_an_old_sequence_is_passed_over_in_redis(relay):
    """Events that are read back keep the sequence they were asked from."""
    fill(relay, 20, 50, 2_000)
    events, end = read_on(CatchUp(relay, NoKafka()), Position(0, (725,)))
    assert end.offsets == (1_000,)
    assert len(events) == 275


def test_a_page_is_bounded_with_its_ids(relay):
    """An id may be longer than its event: a topic may have 64 partitions."""
    relay.put(TOPIC, ID, [10**15] * 63 + [0])
    for first in range(0, 3_000, 100):
        relay.append(TOPIC, ID, [chunk(63, first, *range(first, first + 100))])
    at = Position(0, (*[10**15] * 63, 0))
    page = CatchUp(relay, NoKafka()).after(TOPIC, RULES, at, None)
    assert page.hold is None
    assert len(page.body) < PAGE_BYTES + 5_000
    events, end = read_on(CatchUp(relay, NoKafka()), at)
    assert (len(events), end.offset(63)) == (3_000, 3_000)


def test_more_offsets_than_partitions_are_an_unknown_id(relay):
    """Zeros would be reached, and stand in each id of the answer."""
    fill(relay, 1, 50, 100)
    at = Position(0, (0, *[0] * 1_000))
    page = CatchUp(relay, NoKafka()).after(TOPIC, RULES, at, None)
    (event,) = EventParser().feed(page.body)
    assert (event.event, event.data) == ("reset", '{"reason":"unknown id"}')
    assert page.position.offsets == (50,)
    assert len(page.body) < 200
