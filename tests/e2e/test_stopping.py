"""Parts that are told to stop, under load: what was answered 202 is counted, once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest
import redis
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from stack.layout import Sizes
from stack.temporary import temporary_stack
from tests.conftest import VALUES
from tests.e2e.metrics import metric
from tests.e2e.sockets import Socket
from tests.e2e.viewers import Viewer, answers, post, snapshot, until

PATH = "/values/visits?as=sse"
TRUTH_S = 10.0
IN_FLIGHT = 20


@pytest.fixture(scope="module")
def own():
    with temporary_stack(VALUES, sizes=Sizes(origins=2, publishers=2)) as stack:
        yield stack


@pytest.fixture
def stack(own):
    """With all its parts running. Every update in it is `{"add": 1}` of `visits`."""
    yield own
    for status in own.status():
        own.start_part(status.name)
    own.wait_ready()


class _Posters:
    """Threads that post `{"add": 1}` as fast as they are answered, until they are stopped."""

    def __init__(self, url: str, threads: int = 10) -> None:
        self.places: list[tuple[int, int]] = []  # in Kafka, as the 202s say
        self.others: list[str] = []
        self._url = url
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self) -> _Posters:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def wait_for(self, count: int) -> None:
        wanted = len(self.places) + count
        until(lambda: len(self.places) >= wanted, f"{count} more updates that are taken", 30)

    def _run(self) -> None:
        with httpx.Client(timeout=20, trust_env=False) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post(f"{self._url}/values/visits", json={"add": 1})
                except httpx.HTTPError as error:
                    self.others.append(repr(error))
                    self._stop.wait(0.05)
                    continue
                if answer.status_code == 202:
                    body = answer.json()
                    self.places.append((body["partition"], body["offset"]))
                else:
                    self.others.append(str(answer.status_code))
                    self._stop.wait(0.05)


@pytest.mark.parametrize("name", ["publisher-1", "publisher-2"])
def test_a_publisher_that_is_stopped_announces_what_it_released_and_hands_over(stack, name):
    with (
        redis.Redis.from_url(stack.redis_url) as client,
        Viewer(stack.url, PATH) as first,
        Viewer(stack.pushpin_url, PATH) as second,
    ):
        before = _written(stack)
        with _Posters(stack.url) as posters:
            posters.wait_for(200)
            stack.stop_part(name)
            # At once if it was this one's value, and nobody takes over before the session of a
            # silent member ends; soon if the other one is announcing it just now.
            until(lambda: _announced(client), "everything that was released is announced", 3)
            posters.wait_for(200)
        ended = time.monotonic()
        assert not posters.others
        wanted = _written(stack)
        assert wanted == before + len(set(posters.places))
        for viewer in (first, second):
            until(lambda v=viewer: v.values[-1] == wanted, "the truth", TRUTH_S)
            viewer.assert_increasing()
            assert viewer.resets == 0
            assert viewer.failures == []
        print(f"{name} stopped: the truth {time.monotonic() - ended:.1f} s after the last post")
        assert snapshot(stack.url, "visits")["value"] == wanted


def test_an_origin_that_is_stopped_answers_what_it_has_taken(stack):
    origin = stack.origin_urls[0]
    sent: list[str] = []

    def post_one() -> httpx.Response:
        with httpx.Client(timeout=15, trust_env=False) as client:
            return client.post(
                f"{origin}/values/visits",
                json={"add": 1},
                extensions={"trace": lambda event, _: sent.append(event)},
            )

    assert post_one().status_code == 202
    sent.clear()
    before = _written(stack)
    with ThreadPoolExecutor(IN_FLIGHT + 1) as pool:
        with _paused(stack.pid("kafka")):
            posts = [pool.submit(post_one) for _ in range(IN_FLIGHT)]
            until(lambda: sent.count("http11.send_request_body.complete") == IN_FLIGHT, "all sent")
            assert answers(f"{origin}/health/live")  # behind them: they are taken by now
            stopping = pool.submit(stack.stop_part, "origin-1")
            until(lambda: "signal: term" in _log(stack, "origin-1"), "the signal")
            assert not any(each.done() for each in posts)
        results = [each.result() for each in posts]
        stopping.result()
    assert [result.status_code for result in results] == [202] * IN_FLIGHT
    until(
        lambda: snapshot(stack.url, "visits")["value"] == before + IN_FLIGHT == _written(stack),
        "each of them, once",
    )


def test_an_origin_of_two_restarts_and_no_update_is_refused(stack):
    before = _written(stack)
    with _Posters(stack.url) as posters:
        for name in ("origin-1", "origin-2", "origin-1"):
            posters.wait_for(100)
            stack.restart(name)
            until(lambda n=name: _ready(stack, n), f"{name} ready again")
        posters.wait_for(100)
    assert posters.others == []
    assert len(set(posters.places)) == len(posters.places) == _written(stack) - before
    until(lambda: snapshot(stack.url, "visits")["value"] == _written(stack), "the exact value")


def _served(stack) -> list[float]:
    """Events of WebSockets that each origin has answered."""
    return [
        metric([url], "holdfast_origin_requests_total", method="POST", status="200")
        for url in stack.origin_urls
    ]


def _ask(socket, **message) -> dict:
    """The answer; as docs/websocket.md says, the same again after an error that may pass."""
    key = str(uuid4())

    def answered():
        heard = len(socket.messages)
        socket.say(id=key, **message)

        def answer():
            # The edge, which answers for an origin that is gone, can't read an id.
            return next(
                (
                    message
                    for message in socket.messages[heard:]
                    if message.get("id") == key or message["type"] == "error"
                ),
                None,
            )

        found = until(answer, "an answer", 60)
        assert found["type"] != "error" or found["retry"], found
        return found if found["type"] != "error" else None

    return until(answered, "an answer that is no error", 60)


def _add(socket) -> None:
    answer = _ask(socket, type="add", name="visits", value=1, key=str(uuid4()))
    assert answer["type"] == "accepted"


def test_a_socket_is_answered_by_two_origins_in_turn_and_by_one_when_the_other_is_killed(stack):
    before = snapshot(stack.url, "visits")["value"]
    with Socket(stack.url) as socket:
        socket.ask(type="subscribe", names=["visits"])
        socket.wait_for("visits", before)
        served = _served(stack)
        for _ in range(10):
            _add(socket)
        assert all(now > then for now, then in zip(_served(stack), served, strict=True))
        os.killpg(os.getpgid(stack.pid("origin-1")), signal.SIGKILL)
        for _ in range(10):
            _add(socket)
        # What it had subscribed to did not die with an origin, and each add counts once.
        socket.wait_for("visits", before + 20, 30)
        assert _ask(socket, type="subscribe", names=["visits"])["names"] == ["visits"]
        until(lambda: answers(f"{stack.origin_urls[0]}/health/ready"), "it again", 60)
        _add(socket)
        socket.wait_for("visits", before + 21, 30)
        socket.assert_increasing("visits")
        assert socket.closed is None


def test_down_under_load_and_up_again_loses_nothing_that_was_taken(stack):
    before = _written(stack)
    with Viewer(stack.url, PATH) as viewer, _Posters(stack.url) as posters:
        viewer.wait_connected()
        posters.wait_for(500)
        until(lambda: len(viewer.versions) > 1, "releases")
        stack.down()
        seen = viewer.versions[-1]
    print(f"{len(posters.places)} taken, others: {Counter(posters.others)}")
    stack.start()
    stack.wait_ready()
    written, taken = _written(stack), len(set(posters.places))
    assert taken == len(posters.places)
    # An update may have been written by an origin whose answer got lost on its way.
    assert taken <= written - before <= taken + len(posters.others)
    with Viewer(stack.url, PATH) as viewer:
        until(lambda: viewer.values and viewer.values[-1] == written, "the exact value", TRUTH_S)
        assert viewer.versions[-1] >= seen
        assert post(stack.url, "visits", {"add": 1}).status_code == 202
        until(lambda: viewer.values[-1] == written + 1, "the next update")
        viewer.assert_increasing()


@contextmanager
def _paused(pid: int):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _written(stack) -> int:
    """How many updates there are in Kafka."""
    admin = AdminClient({"bootstrap.servers": stack.kafka})
    asked = {TopicPartition("updates", number): OffsetSpec.latest() for number in range(4)}
    answers = admin.list_offsets(asked, request_timeout=10)
    return sum(future.result().offset for future in answers.values())


def _log(stack, part: str) -> str:
    return "\n".join(stack.last_lines(part))


def _ready(stack, origin: str) -> bool:
    url = stack.origin_urls[int(origin.rpartition("-")[2]) - 1]
    return answers(f"{url}/health/ready")


def _announced(client: redis.Redis) -> bool:
    version, announced = client.hmget("value:visits", "version", "announced")
    return version == announced
