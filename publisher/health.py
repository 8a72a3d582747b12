"""The publisher's /metrics, /health/live and /health/ready."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import make_wsgi_app

from holdfast.version import show_version


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """A probe a second is no news."""


def serve(host: str, port: int, ready: Callable[[], bool]) -> None:
    """Serve on `host`, an address of this machine, from a thread of its own."""
    show_version()
    exposition = make_wsgi_app()

    def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            pages: Iterable[bytes] = exposition(environ, start)
            return pages
        if path == "/health/live" or (path == "/health/ready" and ready()):
            status, body = "200 OK", b"ok\n"
        elif path == "/health/ready":
            status, body = "503 Service Unavailable", b"not ready\n"
        else:
            status, body = "404 Not Found", b"not found\n"
        start(status, [("Content-Type", "text/plain")])
        return [body]

    server = make_server(host, port, app, _Server, _QuietHandler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
