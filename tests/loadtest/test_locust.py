"""The load test itself: it passes on a stack that works, and fails on one that breaks a promise."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stack.layout import REPO

SECONDS = 6


def _locust(host: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "locust",
            "-f",
            str(REPO / "loadtest" / "locustfile.py"),
            "--headless",
            "--users=10",
            "--spawn-rate=10",
            f"--run-time={SECONDS}s",
            "--settle=2",
            "--only-summary",
            "--json",
            f"--host={host}",
            *options,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _rows(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, float]]:
    """locust's report by row: "SSE /values/counter event" -> its figures."""
    # Workers print an empty one each.
    text, report = done.stdout[done.stdout.index("[") :], []
    while text:
        part, end = json.JSONDecoder().raw_decode(text)
        report, text = [*report, *part], text[end:].lstrip()
    return {f"{row['method']} {row['name']}": row for row in report}


def test_ten_users_see_no_failure_on_the_stack(stack):
    # The contract allows skips; whether one is a fault at a given rate is for a quiet machine.
    done = _locust(stack.url, "--skips-allowed")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = _rows(done)
    assert all(row["num_failures"] == 0 for row in rows.values())
    viewers = rows["GET /values/counter connect"]["num_requests"]
    assert viewers == 6  # nobody had to connect twice
    assert rows["SSE /values/counter first event"]["num_requests"] == viewers
    assert rows["SSE /values/counter event"]["num_requests"] > viewers
    assert rows["SSE /values/counter at the end"]["num_requests"] == viewers
    assert rows["TEXT /stream line"]["num_requests"] > 1
    assert rows["TEXT /stream at the end"]["num_requests"] == 1
    assert rows["GET /values/counter"]["num_requests"] > 0
    assert rows["POST /values/counter"]["num_requests"] > 0
    propagation = rows["SSE /values/counter propagation, oldest post"]
    assert propagation["num_requests"] >= viewers
    assert propagation["max_response_time"] < 6_000  # promise 2: 1/rate + 5 s


def test_two_workers_and_a_storm_straight_at_pushpin_see_no_failure(stack):
    done = _locust(stack.pushpin_url, "--processes=2", "--shape=storm", "--skips-allowed")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = _rows(done)
    assert all(row["num_failures"] == 0 for row in rows.values())
    # All workers were asked for their verdict before the run ended.
    assert rows["SSE /values/counter at the end"]["num_requests"] == 6


class _Broken(BaseHTTPRequestHandler):
    """Answers like Holdfast, but sends versions in the wrong order, in pieces."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if "event-stream" not in self.headers["Accept"]:
            self._answer(200, b'{"name":"counter","value":0,"version":7,"prev":6}')
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for version in (5, 6, 4):
            data = json.dumps({"name": "counter", "value": 0, "version": version, "prev": 0})
            for piece in (f"id: {version}\nda", f"ta: {data}\n", "\n"):
                self.wfile.write(f"{len(piece):x}\r\n{piece}\r\n".encode())
                self.wfile.flush()
        self.server.stopping.wait(30)  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(202, b'{"name":"counter"}')

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def broken() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Broken)
    server.daemon_threads = True
    server.stopping = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.stopping.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()


def test_a_version_that_goes_back_a_gap_and_a_stale_screen_are_failures(broken):
    done = _locust(broken, "--users=8", "Viewer", "Poster")
    assert done.returncode == 1
    rows = _rows(done)
    events = rows["SSE /values/counter event"]
    # The first event is what a connection begins with; then a gap, then one that goes back.
    assert events["num_requests"] == 18
    assert events["num_failures"] == 12
    assert rows["SSE /values/counter at the end"]["num_failures"] == 6
    said = done.stdout + done.stderr
    assert all(fault in said for fault in ("a gap", "not newer", "stale at the end"))
