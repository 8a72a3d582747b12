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
        self.match = ""
        self.waiting = 0
        self.seen: list[str] = []
        self._open = threading.Event()
        self._open.set()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
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
        self._open.set()
        self._server.shutdown()
        self._server.server_close()

    def close(self, match: str, part: Literal["head", "body"] = "head") -> None:
        """From now on hold back answers to paths that contain `match`."""
        self.match, self.part, self.waiting = match, part, 0
        self.seen.clear()
        self._open.clear()

    def open(self) -> None:
        """Let everything through that waits, and what comes."""
        self._open.set()

    def _forward(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {
            name: value for name, value in handler.headers.items() if name.lower() != "connection"
        }
        answer = requests.get(
            self.target + handler.path, headers=headers, timeout=10, allow_redirects=False
        )
        body = answer.content
        self.seen.append(handler.path)
        held = self.match in handler.path and not self._open.is_set()
        if held and self.part == "head":
            self._wait()
        handler.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in HOP_BY_HOP:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if held and self.part == "body":
            handler.wfile.write(body[: len(body) // 2])
            handler.wfile.flush()
            self._wait()
            handler.wfile.write(body[len(body) // 2 :])
        else:
            handler.wfile.write(body)

    def _wait(self) -> None:
        self.waiting += 1
        assert self._open.wait(30), "the gate stayed closed"
