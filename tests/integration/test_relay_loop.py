"""The relay's loop on a real Redis: what it does when something stops half way.

Kafka is the publisher tests' own, so that each step happens exactly when the test says so.
"""

from __future__ import annotations

import base64
import itertools
import json
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError

from holdfast.errors import UnavailableError
from holdfast.relay_state import RelayState
from holdfast.topics import TopicRules, Topics
from publisher.relay.loop import LEASE_MS, Relay
from tests.integration.fake_kafka import FakeConsumer, FakeLog, FakeLogs

TOPIC = "relay.test"
RULES = TopicRules(TOPIC, by_key=True)


class Node:
    """Takes what it is offered; takes_s: as long as that."""

    def __init__(self, world, takes_s=0.0):
        self.items, self.takes_s, self._world = [], takes_s, world

    def offer(self, batch, patience_s):
        self._world.now += min(self.takes_s, patience_s)
        for body in batch.bodies:
            self.items.extend(json.loads(body)["items"])

    def ids(self, channel):
        return [(item["prev-id"], item["id"]) for item in self.items if item["channel"] == channel]


class Nodes(list):
    """A Fleet, as far as the loop uses it."""

    newcomer = False

    def newcomers(self):
        newcomer, self.newcomer = self.newcomer, False
        return self[-1:] if newcomer else []


class World:
    """One relay's surroundings, and a clock that the test moves."""

    def __init__(self, client, partitions=1):
        self.now = 1_000.0
        self.state = RelayState(client)
        self.log = FakeLog({(TOPIC, number): [] for number in range(partitions)})
        self.partitions = partitions
        self.nodes = Nodes([Node(self)])

    def relay(self, rules=RULES, name="a"):
        self.consumer = FakeConsumer(self.log, says_eof=False)
        self.consumer.most = 2_000
        return Relay(
            name,
            Topics([rules]),
            self.state,
            FakeLogs(self.log),
            self.consumer,
            SimpleNamespace(topics={TOPIC: self.partitions}),
            self.nodes,
            clock=lambda: self.now,
        )

    def turn(self, relay, seconds):
        """As many steps as fit, one every half second."""
        for _ in range(int(seconds * 2)):
            self.now += 0.5
            relay.step()

    def add(self, key, partition=0):
        self.log.append(TOPIC, partition, key, b"x")


@pytest.fixture
def world(client):
    return World(client)


def channel(key):
    return f"events:{TOPIC}:{base64.urlsafe_b64encode(key).decode().rstrip('=')}"


class Killed(BaseException):
    """A relay ends here."""


def test_keys_that_were_appended_but_not_sent_are_confirmed_by_the_next_relay(world, monkeypatch):
    first = world.relay()
    world.turn(first, 1)
    world.add(b"key")

    def killed(_):
        raise Killed

    monkeypatch.setattr(first, "_send", killed)
    with pytest.raises(Killed):
        world.turn(first, 1)
    (id_,) = world.state.key_ids(TOPIC, ["a2V5"])
    assert id_ is not None
    world.turn(world.relay(), 10)
    assert (id_, id_) in world.nodes[0].ids(channel(b"key"))


def test_keys_are_confirmed_although_redis_could_not_be_asked_once(world, monkeypatch):
    relay = world.relay()
    world.turn(relay, 1)
    world.add(b"key")
    ask = world.state.key_ids

    def refuse(*_):
        monkeypatch.setattr(world.state, "key_ids", ask)
        raise UnavailableError("not now")

    world.turn(relay, 1)
    monkeypatch.setattr(world.state, "key_ids", refuse)
    # What it finds in the stream at its next start must not be what mends this.
    monkeypatch.setattr(world.state, "newest_keys", lambda *_: set())
    with pytest.raises(UnavailableError):
        world.turn(relay, 10)
    world.turn(relay, 10)
    (id_,) = world.state.key_ids(TOPIC, ["a2V5"])
    assert (id_, id_) in world.nodes[0].ids(channel(b"key"))


def test_events_of_former_rules_are_read_again_by_the_new_ones(world):
    relay = world.relay()
    world.turn(relay, 1)
    world.add(b"key")
    world.turn(relay, 1)
    assert len(world.state.view(TOPIC, 0, 1_000).entries) == 1
    tightened = world.relay(TopicRules(TOPIC, fields=("id",)))
    world.turn(tightened, 1)
    assert world.state.view(TOPIC, 0, 1_000).entries == ()
    world.add(b"key")
    world.turn(tightened, 1)
    (entry,) = world.state.view(TOPIC, 0, 1_000).entries
    assert [event.offset for event in entry.unpack()] == [1]


def test_a_topic_that_may_not_be_read_is_asked_for_once_a_second(world, monkeypatch):
    relay = world.relay()
    world.turn(relay, 1)
    asked = []
    look = relay._logs.look
    monkeypatch.setattr(relay._logs, "look", lambda parts: asked.append(world.now) or look(parts))
    refused = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    world.consumer.refused[TOPIC, 0] = refused
    world.consumer.most = 1
    for _ in range(100):
        world.now += 0.1
        relay.step()
    assert 5 <= len({int(moment) for moment in asked}) <= len(asked) / 2 <= 11
    world.consumer.refused.clear()
    world.add(b"key")
    world.turn(relay, 3)
    assert world.state.place(TOPIC).position.offsets == (1,)


def test_the_lease_is_renewed_however_long_a_step_takes(client, monkeypatch):
    world = World(client, partitions=8)
    world.nodes = Nodes(Node(world, takes_s=60) for _ in range(4))
    relay = world.relay()
    world.turn(relay, 1)
    for number in range(8):
        world.add(b"key", number)
    renewed = []
    members = world.state.members
    monkeypatch.setattr(
        world.state, "members", lambda *args: renewed.append(world.now) or members(*args)
    )
    begin = world.now
    world.turn(relay, 0.5)
    moments = [begin, *renewed, world.now]
    assert world.now - begin > 2 * LEASE_MS / 1000
    gaps = [later - sooner for sooner, later in itertools.pairwise(moments)]
    assert max(gaps) < LEASE_MS / 1000
    assert world.state.place(TOPIC).position.offsets == (1,) * 8


def test_records_that_come_again_are_passed_over(world):
    relay = world.relay()
    world.turn(relay, 1)
    for _ in range(3):
        world.add(b"key")
    world.turn(relay, 1)
    world.consumer._positions[TOPIC, 0] = 1  # as assign() does, for what was in hand
    world.add(b"key")
    world.turn(relay, 1)
    entries = world.state.view(TOPIC, 0, 10_000).entries
    assert [event.offset for entry in entries for event in entry.unpack()] == [0, 1, 2, 3]


def test_a_pushpin_that_joins_is_told_where_quiet_topics_and_keys_stand(world):
    relay = world.relay()
    world.turn(relay, 1)
    world.add(b"key")
    world.turn(relay, 30)  # so long that the next confirm is far away
    joined = Node(world)
    world.nodes.append(joined)
    world.turn(relay, 5)
    assert joined.items == []
    world.nodes.newcomer = True
    world.turn(relay, 10)
    (id_,) = world.state.key_ids(TOPIC, ["a2V5"])
    assert (id_, id_) in joined.ids(channel(b"key"))
    place = world.state.place(TOPIC)
    assert (place.position.grip_id,) * 2 in joined.ids(f"events:{TOPIC}")
