"""A reverse proxy that can hold answers back: makes races happen on purpose."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

import requests

HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Gate:
    """Forwards to `target`. While closed, each answer waits, after it was read from the target.

    part: "head" holds the whole answer back, "body" sends the head and half of the body first.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.part: Literal["head", "body"] = "head"
        self.match: str | None = None
        self.held: list[threading.Event] = []
        self.seen: list[str] = []
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                gate._forward(self)

            def do_POST(self) -> None:
                gate._forward(self)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.open()
        self._server.shutdown()
        self._server.server_close()

    def close(self, match: str, part: Literal["head", "body"] = "head") -> None:
        """From now on hold back answers to paths that begin with `match`."""
        self.part, self.match = part, match
        self.held.clear()

    def let_through(self, number: int) -> None:
        """Let one held answer go: the first is number 0."""
        self.held[number].set()

    def open(self) -> None:
        """Let everything through that waits, and what comes."""
        self.match = None
        for waiting in self.held:
            waiting.set()

    def _forward(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {
            name: value for name, value in handler.headers.items() if name.lower() != "connection"
        }
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(
                handler.command,
                self.target + handler.path,
                data=handler.rfile.read(int(headers.get("Content-Length", 0))),
                headers=headers,
                timeout=10,
                allow_redirects=False,
            )
        body = answer.content
        self.seen.append(handler.path)
        hold = self.match is not None and handler.path.startswith(self.match)
        if hold and self.part == "head":
            self._hold()
        handler.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in HOP_BY_HOP:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        half = len(body) // 2 if hold and self.part == "body" else len(body)
        handler.wfile.write(body[:half])
        handler.wfile.flush()
        if half < len(body):
            self._hold()
            handler.wfile.write(body[half:])

    def _hold(self) -> None:
        waiting = threading.Event()
        self.held.append(waiting)
        assert waiting.wait(30), "the gate stayed closed"
