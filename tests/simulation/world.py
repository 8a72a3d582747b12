"""Everything around the publisher, simulated: one thread, one clock, one seed.

The publisher's loop, announcer and nodes are the real ones; Kafka, Redis, the edges, the Pushpins
and the viewers are models of what DESIGN and docs/contract.md say of them. Whatever is chosen, is
chosen by `random.Random(seed)`: a seed replays exactly.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import requests

from holdfast.config import Settings
from holdfast.errors import UnavailableError
from holdfast.formats import EVERYTHING
from holdfast.operator_settings import Change
from holdfast.snapshots import Snapshot
from holdfast.state import Released
from holdfast.tuning import Tuning
from holdfast.updates import INT64_MAX, INT64_MIN
from holdfast.values import Rules, parse
from publisher.addresses import Addresses
from publisher.announce import Announcer
from publisher.fleet import EVERY_S, Fleet
from publisher.loop import Publisher
from publisher.newest import Newest
from publisher.nodes import READ_TIMEOUT_S, Node
from publisher.purge import EdgeNode
from publisher.push import PushNode
from publisher.stale import INTERVAL_S
from publisher.tuner import Tuner
from tests.integration.fake_kafka import SETTINGS, FakeConsumer, FakeLog, FakeLogs, FakeProducer
from tests.simulation.model_redis import DAY_MS, Data, ModelMirror, ModelRedis, ModelState

START_US = 1_764_000_000_000_000
PLACES = (("updates", 0), ("updates", 1))
VALUES = parse(
    """
    [values.counter]
    reduce = "sum"
    default = true
    [values.visits]
    reduce = "sum"
    rate = 4.0
    burst = 2
    [values.headline]
    reduce = "latest"
    """
)
GRACE_S = 6.0  # less than a publisher's: a seed plays a minute or two
HOME = {"counter": 0, "visits": 1, "headline": 0}


class Crash(BaseException):
    """The publisher's process dies here."""


class Broken(AssertionError):
    """A promise is broken."""


# -- Redis


class FlakyState(ModelState):
    """A publisher's connection to Redis: fails before or after a call, or the process dies."""

    def __init__(self, world: World) -> None:
        super().__init__(world.redis)
        self.world = world
        self.dead = False


class FlakyMirror(ModelMirror):
    """The same connection, for the settings."""

    def __init__(self, state: FlakyState) -> None:
        super().__init__(state.server)
        self.world = state.world
        self.state = state

    @property
    def dead(self) -> bool:
        return self.state.dead


def _flaky(model: type, name: str) -> Callable[..., Any]:
    plain = getattr(model, name)

    def call(self: FlakyState | FlakyMirror, *args: Any, **kwargs: Any) -> Any:
        world = self.world
        if self.dead:
            raise Crash
        if world.redis_down:
            raise UnavailableError("Redis is away")
        fate = world.random.random() if world.trouble else 1.0
        if fate < 0.02:
            raise UnavailableError("lost on the way there")
        if fate < 0.025:
            raise Crash
        result = plain(self, *args, **kwargs)
        if name == "release":
            world.released(args[1], result, kwargs["settings"])
        elif name == "write":
            world.told = max(world.told, result)
        if fate < 0.045:
            raise UnavailableError("lost on the way back")
        if fate < 0.05:
            raise Crash
        return result

    return call


for _name in (
    "known",
    "note_topic",
    "apply",
    "apply_each",
    "advance",
    "heartbeat",
    "release",
    "announced",
    "reissue",
    "dirty",
    "released",
    "snapshots",
    "versions",
):
    setattr(FlakyState, _name, _flaky(ModelState, _name))
for _name in ("write", "position"):
    setattr(FlakyMirror, _name, _flaky(ModelMirror, _name))


# -- the nodes, as HTTP servers


class Answer:
    status_code = 200


class Link:
    """A requests.Session to one simulated server, which may fail in every way that one can."""

    def __init__(self, world: World, server: Edge | Pushpin) -> None:
        self.world = world
        self.server = server
        self.trust_env = False
        self.headers: dict[str, str] = {}

    def post(self, url: str, *, timeout: object, **request: Any) -> Answer:
        world, mode = self.world, self.server.mode
        if mode == "refuses":
            raise requests.ConnectionError("refused")
        if mode == "silent":
            world.now += READ_TIMEOUT_S
            raise requests.Timeout("no answer")
        if mode == "500":
            raise requests.HTTPError("500")
        if mode == "deaf":  # it does what it is told, and its answer is lost
            self.server.take(url, {**self.headers, **request.get("headers", {})}, request)
            raise requests.Timeout("the answer got lost")
        self.server.take(url, {**self.headers, **request.get("headers", {})}, request)
        return Answer()


@dataclass
class Edge:
    """A Varnish: one copy per value, fresh until it is purged, stale while the origin is away."""

    world: World
    mode: str = "well"
    fresh: dict[str, Snapshot] = field(default_factory=dict)
    stale: dict[str, Snapshot] = field(default_factory=dict)
    purged: dict[str, int] = field(default_factory=dict)

    def take(self, url: str, headers: dict[str, str], _request: dict[str, Any]) -> None:
        if headers["Surrogate-Key"] == EVERYTHING:
            names = list(self.fresh)
        else:
            names = [key.removeprefix("value:") for key in headers["Surrogate-Key"].split()]
            for pair in headers["Holdfast-Versions"].split():
                key, _, version = pair.partition("=")
                name = key.removeprefix("value:")
                self.purged[name] = max(self.purged.get(name, 0), int(version))
        for name in names:
            if name in self.fresh:
                self.stale[name] = self.fresh.pop(name)

    def forget(self) -> None:
        """It was restarted."""
        self.fresh.clear()
        self.stale.clear()

    def get(self, name: str, after: int | None = None) -> Snapshot | None:
        """What a GET is answered; None is a 503. `after` is in the cache key: asked anew."""
        if after is not None and (answer := self.world.origin_answer(name)) is not None:
            return answer
        if name not in self.fresh:
            snapshot = self.world.origin_answer(name)
            if snapshot is None:
                return self.stale.get(name)
            self.fresh[name] = snapshot
        return self.fresh[name]


@dataclass
class Session:
    """A viewer's connection as Pushpin sees it."""

    viewer: Viewer
    last_id: int
    stale: bool = False


@dataclass
class Pushpin:
    """Held connections and what Pushpin does with ids, as DESIGN's "The chain" says."""

    world: World
    edge: Edge
    mode: str = "well"
    sessions: list[Session] = field(default_factory=list)
    last_ids: dict[str, int] = field(default_factory=dict)
    contents: dict[tuple[str, int], int] = field(default_factory=dict)
    sockets: list[Socket] = field(default_factory=list)

    def take(self, _url: str, _headers: dict[str, str], request: dict[str, Any]) -> None:
        for item in json.loads(request["data"])["items"]:
            kind, _, name = item["channel"].partition(":")
            if name.endswith(":ndjson"):
                continue  # says the same, to others
            if kind == "value":
                self._publish(name, int(item["id"]), int(item["prev-id"]), item)
            elif kind == "stale":
                for session in self.sessions:
                    if session.stale:
                        self._recover(session)

    def _publish(self, name: str, id_: int, prev: int, item: dict[str, Any]) -> None:
        content = item["formats"]["http-stream"]["content"]
        snapshot = None
        if id_ != prev:
            snapshot = json.loads(content.partition("data: ")[2])
            self.world.sent(self, name, id_)
            self.contents[name, id_] = self.contents.get((name, id_), 0) + 1
            if self.contents[name, id_] > 1:
                raise Broken(f"item {id_} of {name} was sent twice to one Pushpin")
        self.last_ids[name] = id_
        if "ws-message" in item["formats"]:
            message = json.loads(item["formats"]["ws-message"]["content"])
            for socket in self.sockets:
                if socket.name == name and socket.subscribed:
                    socket.show(message["version"], message["value"])
        for session in self.sessions:
            if session.viewer.name != name or session.last_id == id_:
                continue
            if session.last_id != prev:
                # After the first conflict Pushpin forgets the channel's last id.
                self.last_ids.pop(name, None)
                self._recover(session)
            elif snapshot is not None:
                session.last_id = id_
                session.viewer.show(id_, snapshot["value"])

    def hold(self, viewer: Viewer) -> bool:
        """A new connection; whether it was answered."""
        snapshot = None
        if self.edge.mode != "refuses":
            snapshot = self.edge.get(viewer.name, viewer.version)
        if snapshot is None:
            return False
        session = Session(viewer, snapshot.version)
        self.sessions.append(session)
        self._begin(session, snapshot)
        if self.last_ids.get(viewer.name, session.last_id) != session.last_id:
            self.last_ids.pop(viewer.name, None)
            self._recover(session)
        return True

    def _recover(self, session: Session) -> None:
        """Pushpin follows the Grip-Link; where that fails it tries again later: here, never."""
        self.world.recoveries += 1
        viewer = session.viewer
        if self.edge.mode != "refuses":
            snapshot = self.edge.get(viewer.name, viewer.version)
            if snapshot is not None:
                self._begin(session, snapshot)

    def _begin(self, session: Session, snapshot: Snapshot) -> None:
        """Go on from an answer. A stale one claims to stand at the newest version announced."""
        viewer = session.viewer
        session.stale = self.world.origin_answer(viewer.name) is None
        session.last_id = snapshot.version
        if session.stale:
            session.last_id = self.edge.purged.get(viewer.name, snapshot.version)
            if viewer.version is not None and viewer.version >= snapshot.version:
                return
        viewer.told(snapshot)

    def restart(self) -> None:
        for session in self.sessions:
            session.viewer.pushpin = None
        for socket in self.sockets:
            socket.pushpin = None
        self.sessions.clear()
        self.sockets.clear()
        self.last_ids.clear()


@dataclass
class Viewer:
    """Somebody who watches one value, and comes back when the connection breaks."""

    name: str
    pushpin: Pushpin | None = None
    version: int | None = None
    value: Any = None
    resets: int = 0

    def told(self, snapshot: Snapshot) -> None:
        """The origin's answer to somebody who has seen `version`: a reset where that is unknown."""
        if self.version is not None and self.version > snapshot.version:
            self.resets += 1
            self.version = None
        if self.version != snapshot.version:
            self.show(snapshot.version, json.loads(snapshot.json))

    def show(self, version: int, value: Any) -> None:
        if self.version is not None and version <= self.version:
            raise Broken(f"{self.name}: version {version} after {self.version}")
        self.version, self.value = version, value


@dataclass
class Socket:
    """A WebSocket: a snapshot, then whatever is published; there is no chain, and no recovery.

    subscribed: it is a moment after the snapshot was read, and what is published by then is lost.
    """

    world: World
    name: str
    pushpin: Pushpin | None = None
    subscribed: bool = False
    version: int = -1
    value: Any = None

    def connect(self) -> None:
        pushpin = self.world.random.choice(self.world.pushpins)
        snapshot = self.world.origin_answer(self.name)
        if pushpin.mode == "refuses" or snapshot is None:
            return
        self.pushpin, self.subscribed = pushpin, False
        pushpin.sockets.append(self)
        # What a former connection showed counts no more: Redis may have lost it since.
        self.version, self.value = snapshot.version, json.loads(snapshot.json)

    def show(self, version: int, value: Any) -> None:
        if version < self.version and not self.world.losses:
            raise Broken(f"{self.name}: a WebSocket went from {self.version} to {version}")
        self.version, self.value = version, value


# -- a publisher's process


class Process:
    """One publisher with its announcer and its nodes; `slot` is its place in the group."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.hint_at = 0.0
        self.look_at = world.now + EVERY_S
        self.state = FlakyState(world)
        # Those that it has let go of finish what they have in hand.
        self.working: list[Node[Any]] = []
        self.edges: Fleet[Any] = Fleet(
            self.addresses("edge"),
            lambda url: self.connect(url, EdgeNode(url, "holdfast", "key", world.clock)),
        )
        newest = Newest(self.state, most_bytes=200)  # two of them
        self.pushpins: Fleet[Any] = Fleet(
            self.addresses("pushpin"),
            lambda url: self.connect(url, PushNode(url, newest, world.clock)),
        )
        state: Any = self.state
        mirror: Any = FlakyMirror(self.state)
        self.announcer = world.make_announcer(state, self.edges, self.pushpins, self.wait)
        self.consumer = FakeConsumer(world.log)
        logs: Any = FakeLogs(world.log)
        consumer: Any = self.consumer
        producer: Any = FakeProducer()
        self.publisher = Publisher(
            Settings(),
            VALUES,
            state,
            Tuner(mirror),
            logs,
            consumer,
            producer,
            self.announcer,
            world.clock,
            lambda: world.redis.time_us / 1e6,
        )
        self.publisher.subscribe()

    def addresses(self, kind: str) -> Addresses:
        resolve, clock = self.world.resolve, self.world.clock
        return Addresses([f"dns+http://{kind}:1"], resolve, clock, GRACE_S)

    def connect(self, url: str, node: Node[Any]) -> Node[Any]:
        """Let a node talk to the server at `url`, and let it work only when it is pumped."""
        link: Any = Link(self.world, self.world.server(url))
        link.headers.update(node.session.headers)
        changed: Any = node
        changed.session = link
        changed.start = lambda: None
        self.working.append(node)
        return node

    def reaches(self, edge: Edge) -> bool:
        """Whether the edge has got all that this publisher had for it."""
        nodes = [node for node in self.edges if self.world.server(node.url) is edge]
        return bool(nodes) and not nodes[0].failing and not nodes[0].due

    def wait(self, attempts: Sequence[Future[bool]], timeout_s: float) -> None:
        """The nodes' threads work meanwhile; one that is slow is not waited for."""
        self.pump()
        if not all(attempt.done() for attempt in attempts):
            self.world.now += timeout_s

    def pump(self, *, slow: bool | None = None) -> None:
        for node in list(self.working):
            lags = self.world.trouble and self.world.random.random() < 0.1
            while node.due and not (lags if slow is None else slow):
                if not node.turn(0):
                    self.working.remove(node)
                    break

    def hint(self) -> None:
        """What publisher/stale.py does in a thread."""
        world = self.world
        ready = world.origin_answer(VALUES.default.name) is not None
        if world.now >= self.hint_at and self.publisher.leads and ready:
            self.hint_at = world.now + INTERVAL_S
            self.announcer.hint_stale()

    def look(self) -> None:
        """What publisher/fleet.py's Lookout does in a thread."""
        if self.world.now >= self.look_at:
            self.look_at = self.world.now + EVERY_S
            self.edges.look()
            self.pushpins.look()

    def step(self) -> None:
        self.consumer.most = self.world.random.choice([1, 3, 100])
        try:
            self.publisher.step()
        except UnavailableError:
            return


# -- the whole


class World:
    """make_announcer: for deliberate bugs in it."""

    def __init__(self, seed: int, make_announcer: Callable[..., Announcer] = Announcer) -> None:
        self.random = random.Random(seed)
        random.seed(seed)  # the nodes' jitter
        self.make_announcer = make_announcer
        self.now = 1000.0
        self.trouble = True
        self.redis = ModelRedis(START_US)
        self.redis_down = False
        self.saved: Data = self.redis.save()
        self.losses = self.kills = 0
        self.log = FakeLog({place: [] for place in PLACES})
        self.time_ms = 1000
        self.edges = [Edge(self), Edge(self)]
        self.pushpins = [Pushpin(self, self.edges[n]) for n in range(2)]
        self.all_nodes = {(kind, n) for kind in ("edge", "pushpin") for n in range(2)}
        self.named = {node for node in sorted(self.all_nodes) if self.random.random() < 0.7}
        self.dns_down = False
        self.viewers: list[Viewer] = []
        self.sockets: list[Socket] = []
        self.recoveries = 0
        self.told = 0
        self.paused: set[str] = set()
        self.sums = {"counter": 0, "visits": 0}
        self.keys: dict[tuple[str, bytes], int] = {}
        self.latest: tuple[tuple[int, int], int] | None = None
        self.processes = [Process(self), Process(self)]
        self.assigned: list[tuple[tuple[str, int], ...]] = [PLACES, ()]
        self.assign(0, PLACES)
        self.seen: dict[str, list[int]] = {name: [] for name in HOME}

    def clock(self) -> float:
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.redis.time_us += int(seconds * 1e6)

    def origin_answer(self, name: str) -> Snapshot | None:
        rules = VALUES.rules(name)
        assert rules is not None
        if self.redis_down:
            return None
        view = ModelState(self.redis).view(rules)
        if not view.ready:
            return None
        return view.snapshot or Snapshot.unreleased(name, rules.reduce)

    def sent(self, pushpin: Pushpin, name: str, version: int) -> None:
        """An item is being published: whoever recovers by it must not find an older copy."""
        self.seen[name].append(version)
        for edge in self.edges:
            copy = edge.fresh.get(name)
            old = copy is not None and copy.version < version
            if old and edge.mode == "well" and edge not in self.lagging:
                raise Broken(f"{name} was published at {version} before an edge was purged")

    @property
    def lagging(self) -> list[Edge]:
        """Edges that some publisher has not reached: it owes them a purge of everything."""
        return [
            edge
            for edge in self.edges
            if not all(process.reaches(edge) for process in self.processes)
        ]

    def resolve(self, host: str, _port: int) -> list[str]:
        """Where the nodes of a kind are, as far as DNS knows."""
        found = [f"{kind}-{n}" for kind, n in sorted(self.named) if kind == host]
        if self.dns_down or not found:
            raise OSError("no answer")
        return found

    def server(self, url: str) -> Edge | Pushpin:
        kind, _, number = url.removeprefix("http://").removesuffix(":1").partition("-")
        servers: dict[str, Sequence[Edge | Pushpin]] = {
            "edge": self.edges,
            "pushpin": self.pushpins,
        }
        return servers[kind][int(number)]

    # -- what may happen

    def assign(self, who: int, places: tuple[tuple[str, int], ...]) -> None:
        self.assigned[who] = places
        self.processes[who].consumer.group_assigns(*places)

    def update(self) -> None:
        name = self.random.choice(["counter", "counter", "visits", "headline"])
        key = self.random.choice([None, b"k", b"l", b"m"])
        number = self.random.randint(-3, 9)
        self.time_ms += self.random.choice([0, 1, 500, 3_600_000])
        operation = b"set" if name == "headline" else b"add"
        offset = self.log.append(
            "updates",
            HOME[name],
            name.encode(),
            b'{"%b":%d}' % (operation, number),
            self.time_ms,
            key,
        )
        if key is not None:
            if self.time_ms - self.keys.get((name, key), -DAY_MS) < DAY_MS:
                return
            self.keys[name, key] = self.time_ms
        if name == "headline":
            self.latest = max(self.latest or ((0, 0), 0), ((self.time_ms, offset), number))
        elif INT64_MIN <= self.sums[name] + number <= INT64_MAX:
            self.sums[name] += number

    def operate(self) -> None:
        """An operator changes a rate, pauses a value or lets it go on."""
        name = self.random.choice(list(HOME))
        if self.random.random() < 0.5:
            to = self.random.choice([None, {"rate": 0.5}, {"rate": 10.0, "burst": 3}])
            self.set_anew(f"value:{name}", to)
        elif name in self.paused:
            self.paused.remove(name)
            self.set_anew(f"pause:{name}", None)
        else:
            self.paused.add(name)
            self.set_anew(f"pause:{name}", {})

    def set_anew(self, key: str, to: dict[str, Any] | None) -> None:
        record = Change(key, "alice", self.redis.time_us // 1000, None, to).encode()
        self.log.append(*SETTINGS, key.encode(), None if to is None else record)

    def released(
        self, values: Sequence[Rules], results: Sequence[object], settings: int | None
    ) -> None:
        """What Redis was ever told of settings holds for every release from then on."""
        for rules, result in zip(values, results, strict=True):
            if not isinstance(result, Released):
                continue
            told = self.redis.data.settings
            if settings is None or settings < self.told or told is None:
                raise Broken(f"{rules.name} was released by settings of before {self.told}")
            written = VALUES.rules(rules.name)
            assert written is not None
            if rules != Tuning(told[2].values()).rules(written):
                raise Broken(f"{rules.name} was released by other rules than were told")

    def step(self, who: int) -> None:
        """A turn of a process; it may die in it."""
        process = self.processes[who]
        try:
            process.step()
            process.announcer.turn()
            process.hint()
            process.look()
            process.pump()
        except Crash:
            self.kill(who)

    def kill(self, who: int) -> None:
        self.kills += 1
        self.processes[who].state.dead = True
        self.processes[who] = Process(self)
        self.assign(who, self.assigned[who])

    def take_over(self) -> None:
        """The group moves partitions; the one who loses them may not know it yet: a zombie."""
        new = self.random.choice([(PLACES, ()), ((), PLACES), (PLACES[:1], PLACES[1:])])
        winner = self.random.randrange(2)
        self.assign(winner, new[winner])
        if self.random.random() < 0.5:
            self.assign(1 - winner, new[1 - winner])
        else:
            self.assigned[1 - winner] = new[1 - winner]

    def connect(self) -> None:
        if self.random.random() < 0.3:
            self.sockets.append(Socket(self, self.random.choice(list(HOME))))
            self.sockets[-1].connect()
            return
        viewer = Viewer(self.random.choice(list(HOME)))
        self.viewers.append(viewer)
        self.reconnect(viewer)

    def reconnect(self, viewer: Viewer) -> None:
        pushpin = self.random.choice(self.pushpins)
        if pushpin.mode != "refuses" and pushpin.hold(viewer):
            viewer.pushpin = pushpin

    def reconnect_all(self) -> None:
        """Whoever is without a connection; and whoever connected a while ago is subscribed."""
        for viewer in self.viewers:
            if viewer.pushpin is None:
                self.reconnect(viewer)
        for socket in self.sockets:
            if socket.pushpin is None:
                socket.connect()
            else:
                socket.subscribed = True

    def disturb(self) -> None:
        """Something breaks, or comes back."""
        what = self.random.randrange(11)
        if what == 0:
            self.redis_down = not self.redis_down
            if not self.redis_down:
                self.redis.restart()
        elif what == 1:
            self.redis.restart(self.saved)
            self.losses += 1
        elif what == 2:
            self.redis.restart(Data())
            self.losses += 1
        elif what == 3:
            self.saved = self.redis.save()
        elif what == 4:
            server = self.random.choice([*self.edges, *self.pushpins])
            modes = ["well", "refuses", "silent", "500"]
            # A Pushpin that works but can't say so is told everything by confirms: see DESIGN.
            server.mode = self.random.choice([*modes, "deaf"])
            if server.mode == "refuses":
                server.forget() if isinstance(server, Edge) else server.restart()
        elif what == 5:
            self.kill(self.random.randrange(2))
        elif what == 6:
            self.take_over()
        elif what == 7:
            self.dns_down = not self.dns_down
        elif what == 8:
            # It goes on working: only nobody tells the publishers of it.
            self.named ^= {(self.random.choice(["edge", "pushpin"]), self.random.randrange(2))}
        elif what == 9:
            self.pass_time(60.0)  # long enough for confirms to become rare
        else:
            self.random.choice(self.edges).forget()

    def act(self) -> None:
        fate = self.random.random()
        if fate < 0.22:
            self.update()
        elif fate < 0.25:
            self.operate()
        elif fate < 0.65:
            self.step(self.random.randrange(2))
        elif fate < 0.80:
            self.pass_time(self.random.choice([0.001, 0.1, 0.5, 1.0, 3.0]))
        elif fate < 0.85:
            self.connect()
        elif fate < 0.95:
            self.reconnect_all()
        else:
            self.disturb()

    # -- how it ends

    def heal(self) -> None:
        """Everything works again; the group gives each partition to one publisher."""
        self.trouble = False
        if self.redis_down:
            self.redis_down = False
            self.redis.restart()
        for server in (*self.edges, *self.pushpins):
            server.mode = "well"
        self.assign(0, PLACES[:1])
        self.assign(1, PLACES[1:])
        if self.random.random() < 0.1:
            # Nothing but the names is wrong for so long that few confirms are still to come.
            self.settle(5.0)
            self.pass_time(200.0)
            self.settle(1.0)
        self.dns_down = False
        self.named = self.all_nodes
        for name in sorted(self.paused):
            self.set_anew(f"pause:{name}", None)

    def settle(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            for who in (0, 1):
                self.step(who)
                self.processes[who].pump(slow=False)
            self.reconnect_all()
            self.pass_time(0.1)

    def judge(self) -> None:
        """Raise Broken unless every promise was kept."""
        expected: dict[str, Any] = dict(self.sums)
        expected["headline"] = None if self.latest is None else self.latest[1]
        for name, value in expected.items():
            stored = self.redis.data.values.get(name)
            found = None if stored is None or stored.value is None else int(stored.value)
            if (found or 0) != (value or 0):
                raise Broken(f"{name} is {found} instead of {value}")
            if stored is not None and stored.version != stored.announced:
                raise Broken(f"{name}: {stored.version} was never announced")
            for edge in self.edges:
                copy = edge.get(name)
                if copy is None or (json.loads(copy.json) or 0) != (value or 0):
                    raise Broken(f"{name}: an edge serves {copy}")
        for viewer in self.viewers:
            if viewer.resets and not self.losses:
                raise Broken("a viewer was reset though Redis lost nothing")
            if (viewer.value or 0) != (expected[viewer.name] or 0):
                raise Broken(f"a viewer of {viewer.name} ended at {viewer.value} {viewer.version}")
        for socket in self.sockets:
            if (socket.value or 0) != (expected[socket.name] or 0):
                raise Broken(f"a socket of {socket.name} ended at {socket.value} {socket.version}")


def simulate(seed: int, make_announcer: Callable[..., Announcer] = Announcer) -> World:
    """Play one seed to its end. Raises Broken, or whatever went wrong."""
    world = World(seed, make_announcer)
    for _ in range(world.random.choice([20, 60, 150])):
        world.act()
    world.heal()
    world.settle(25.0)
    world.judge()
    return world
