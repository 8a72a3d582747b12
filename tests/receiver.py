"""A real receiver of webhooks, which believes what the `standardwebhooks` library believes."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Receiver:
    """Answers with `status`, or does not while it `hangs`. releases: what came, verified."""

    def __init__(self, address: str = "127.0.0.1", *, context: ssl.SSLContext | None = None):
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b"thank you"
        self.secret = SECRET
        self.go_on = threading.Event()  # cleared: it hangs
        self.go_on.set()
        self.requests: list[dict[str, str]] = []
        self.releases: list[dict[str, Any]] = []
        self.failures: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take({**dict(self.headers), "port": str(self.client_address[1])}, body)
                receiver.go_on.wait(60)
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(receiver.body)))
                self.end_headers()
                self.wfile.write(receiver.body)

            def do_GET(self) -> None:
                receiver.requests.append({"method": "GET"})
                self.send_error(405)

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server((address, 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if context else 'http'}://{address}:{self.port}/in?of=test"
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, headers: dict[str, str], body: bytes) -> None:
        self.requests.append(headers)
        try:
            event = Webhook(self.secret).verify(body, headers)
        except WebhookVerificationError as error:
            self.failures.append(f"{error}: {json.dumps(headers)}")
            return
        if 200 <= self.status < 300:
            self.releases.append({**event["data"], "type": event["type"]})

    def versions(self, name: str) -> list[int]:
        return [release["version"] for release in self.releases if release["name"] == name]

    def assert_increasing(self, name: str) -> None:
        versions = self.versions(name)
        assert all(old < new for old, new in pairwise(versions)), versions

    def close(self) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Who sends may hang up."""
