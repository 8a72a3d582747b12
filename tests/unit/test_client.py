"""The Python client: its small parts, and what it makes of what servers say."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from holdfast.cli.screen import bars
from holdfast.client import Client, RefusedError, Release, State, UnansweredError
from holdfast.client import watch as watching
from holdfast.client.backoff import Backoff, retry_after_s

BIG = 2**63 - 1


def snapshot(version: int, value: object = None) -> str:
    return json.dumps(
        {
            "name": "counter",
            "value": version if value is None else value,
            "version": version,
            "prev": version - 1,
            "released_at": None,
        }
    )


def event(version: int) -> bytes:
    return f"id: {version}\ndata: {snapshot(version)}\n\n".encode()


class Server:
    """Answers each request with the next of `answers`: a function that gets the handler."""

    def __init__(self, *answers) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        left = deque(answers)
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.asked.append((self.command, self.path, dict(self.headers)))
                length = int(self.headers.get("Content-Length", 0))
                self.body = self.rfile.read(length)
                answer = left.popleft() if len(left) > 1 else left[0]
                answer(self)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def says(status: int, body: str = "", **headers: str):
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, field in headers.items():
            handler.send_header(name.replace("_", "-"), field)
        handler.send_header("Content-Length", str(len(body.encode())))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return answer


def streams(*chunks: bytes, then_wait: threading.Event | None = None):
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        for chunk in chunks:
            handler.wfile.write(chunk)
            handler.wfile.flush()
        if then_wait is not None:
            then_wait.wait(20)

    return answer


def silent(until: threading.Event):
    return lambda _: until.wait(20)


def breaks(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """Set at the end, so that what a server holds lets go."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def at_once(monkeypatch):
    """No pauses between attempts."""
    monkeypatch.setattr(Backoff, "next_s", lambda _self, at_least_s=0.0: 0.0)


def take(server: Server, count: int, states: list[State] | None = None) -> list[Release]:
    with Client(server.url) as client:
        watch = client.watch("counter", states.append if states is not None else None)
        found = [next(watch) for _ in range(count)]
        watch.close()
        return found


def test_a_stream_that_breaks_is_resumed_by_version(at_once, held):
    states: list[State] = []
    with Server(streams(event(5), event(6)), breaks, streams(event(7), then_wait=held)) as server:
        assert [each.version for each in take(server, 3, states)] == [5, 6, 7]
    assert [path for _, path, _ in server.asked] == [
        "/values/counter?as=sse",
        "/values/counter?as=sse&after=6",
        "/values/counter?as=sse&after=6",
    ]
    assert states == [State.LIVE, State.STALE, State.LIVE]


def test_versions_only_grow_but_after_a_reset(at_once, held):
    reset = b'event: reset\ndata: {"reason": "unknown id"}\n\n'
    chunks = (event(9), event(8), event(9), reset, event(3), event(4))
    with Server(streams(*chunks, then_wait=held)) as server:
        assert [each.version for each in take(server, 3)] == [9, 3, 4]


def test_64_bits_are_exact(held):
    data = f"id: 1\ndata: {snapshot(1, BIG)}\n\n".encode()
    with Server(streams(data, then_wait=held)) as server:
        assert take(server, 1)[0].value == BIG


def test_a_stream_that_is_silent_from_the_first_gives_way_to_polls(monkeypatch, at_once, held):
    monkeypatch.setattr(watching, "FIRST_S", 0.2)
    with Server(silent(held), says(200, snapshot(5)), streams(event(6), then_wait=held)) as server:
        assert [each.version for each in take(server, 2)] == [5, 6]
    assert [path for _, path, _ in server.asked] == [
        "/values/counter?as=sse",
        "/values/counter?wait=25",
        "/values/counter?as=sse&after=5",  # since nobody waited 5 s here, tried again at once
    ]


def test_so_does_one_of_which_only_the_beginning_comes(monkeypatch, at_once, held):
    monkeypatch.setattr(watching, "SECOND_S", 0.2)
    monkeypatch.setattr(watching.Backoff, "next_s", lambda _self, at_least_s=0.0: 0.0)
    with Server(streams(event(5), then_wait=held), says(200, snapshot(6))) as server:
        assert [each.version for each in take(server, 2)] == [5, 6]
    assert server.asked[1][1] == "/values/counter?wait=25&after=5"


def test_heartbeats_alone_keep_a_stream(monkeypatch, held):
    """Though httpx-sse keeps them to itself as long as no event has had an id."""
    monkeypatch.setattr(watching, "SECOND_S", 0.5)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        streams()(handler)
        for _ in range(10):
            handler.wfile.write(b":\n\n")
            handler.wfile.flush()
            time.sleep(0.15)  # slower in all than the silence that is borne
        handler.wfile.write(event(5))
        handler.wfile.flush()
        held.wait(20)

    with Server(answer) as server:
        assert take(server, 1)[0].version == 5
    assert len(server.asked) == 1


def test_what_is_no_snapshot_is_no_answer(monkeypatch, at_once, held):
    """A page of somebody's network, for example."""
    monkeypatch.setattr(watching, "FIRST_S", 0.2)
    page = says(200, "<html>", Content_Type="text/html")
    garbage = streams(b"data: <html>\n\n", then_wait=held)
    with Server(page, garbage, page, page, streams(event(5), then_wait=held)) as server:
        assert take(server, 1)[0].version == 5


def test_no_value_is_an_error_and_no_reason_to_come_back():
    problem = json.dumps({"status": 404, "detail": "no value is called counter"})
    with (
        Server(says(404, problem)) as server,
        Client(server.url) as client,
        pytest.raises(RefusedError, match="404: no value is called counter") as caught,
    ):
        next(client.watch("counter"))
    assert caught.value.status == 404
    assert len(server.asked) == 1


def test_an_update_is_sent_until_it_is_taken_with_one_key():
    taken = json.dumps({"name": "counter", "topic": "updates", "partition": 3, "offset": 17})
    with (
        Server(breaks, says(503), says(429, Retry_After="0"), says(202, taken)) as server,
        Client(server.url) as client,
    ):
        accepted = client.add("counter", 2)
    assert (accepted.partition, accepted.offset) == (3, 17)
    assert len({headers["Idempotency-Key"] for _, _, headers in server.asked}) == 1
    assert [command for command, _, _ in server.asked] == ["POST"] * 4


def test_a_refused_update_is_not_sent_again():
    problem = json.dumps({"detail": "add takes a number"})
    with (
        Server(says(422, problem)) as server,
        Client(server.url) as client,
        pytest.raises(RefusedError, match="422: add takes a number"),
    ):
        client.add("counter", 1)
    assert len(server.asked) == 1


def test_what_nobody_answers_is_said_after_the_time(at_once):
    with Client("http://127.0.0.1:1") as client, pytest.raises(UnansweredError, match="asked"):
        client.add("counter", 1, timeout_s=0)


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (None, 0),
        ("3", 3),
        ("-1", 0),
        ("86400", 60),
        ("soon", 0),
        ("1e999", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
    ],
)
def test_retry_after(field, seconds):
    assert retry_after_s(field) == seconds


def test_backoff_grows_and_never_comes_before_the_server_wants():
    backoff = Backoff(1.0, 4.0)
    for longest in (1, 2, 4, 4):
        assert 10 <= backoff.next_s(10.0) <= 10 + longest
    assert Backoff(1.0, 4.0).next_s() <= 1


def test_bars():
    assert bars(deque([1.0])) == ""
    assert bars(deque([1.0, 2.0, 8.0])) == "▁▂█"
    assert bars(deque([5.0, 5.0])) == "▁▁"
