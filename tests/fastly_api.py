"""Fastly's API as its documents have it, for purges and for Fanout's publishing.

https://www.fastly.com/documentation/reference/api/purging/ and .../publishing/. It is strict:
what those pages don't allow is answered by an error, and noted in `faults`.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MOST_KEYS = 256
MOST_KEY_BYTES = 1024
MOST_KEYS_BYTES = 16_384
MOST_HEADER_BYTES = 69 * 1024
MOST_MESSAGE_BYTES = 65_536  # of Fanout's former cloud: fastly/pushpin#47690
PURGE_ALLS_AN_HOUR = 1000
FORMATS = {
    "http-stream": {"content", "content-bin"},
    "http-response": {"code", "reason", "headers", "body", "body-bin"},
    "ws-message": {"content", "content-bin"},
}


@dataclass(frozen=True)
class Purge:
    """keys: those that were named; () = a purge_all. at: monotonic, s."""

    keys: tuple[str, ...]
    soft: bool
    at: float


@dataclass(frozen=True)
class Message:
    channel: str
    id: str | None
    prev_id: str | None
    formats: dict[str, dict[str, Any]]
    at: float

    @property
    def stream(self) -> bytes:
        """What an http-stream's viewers get."""
        made = self.formats.get("http-stream", {})
        if "content-bin" in made:
            return base64.b64decode(made["content-bin"])
        return made.get("content", "").encode()


@dataclass
class FastlyApi:
    """Serves on a free port of 127.0.0.1 until `close`.

    Next answers may be put into `purge_answers` and `publish_answers`: (status, headers).
    """

    service: str
    token: str
    purges: list[Purge] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    bodies: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    purge_answers: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    publish_answers: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def grip_url(self) -> str:
        return f"{self.url}/service/{self.service}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Ordered(Exception):
    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers


class _Refused(Exception):
    def __init__(self, status: int, msg: str, **headers: str) -> None:
        super().__init__(msg)
        self.status = status
        self.headers = headers


def _handler(api: FastlyApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                self._limits()
                answer = self._route(body)
            except _Refused as refused:
                api.faults.append(f"{self.path}: {refused.status} {refused}")
                headers = {name.replace("_", "-"): text for name, text in refused.headers.items()}
                self._answer(refused.status, json.dumps({"msg": str(refused)}), headers)
            except _Ordered as ordered:
                self._answer(ordered.status, '{"msg": "as ordered"}', ordered.headers)
            else:
                text = answer if isinstance(answer, str) else json.dumps(answer)
                self._answer(200, text, {})

        def do_GET(self) -> None:
            """What a redirected POST may become: it does nothing, and looks well."""
            api.faults.append(f"GET {self.path}")
            self._answer(200, "ok", {})

        def _answer(self, status: int, text: str, headers: dict[str, str]) -> None:
            self.send_response(status)
            kind = "application/json" if text.startswith(("{", "[")) else "text/plain"
            for name, value in {"Content-Type": kind, **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def _limits(self) -> None:
            if sum(len(name) + len(text) + 4 for name, text in self.headers.items()) > (
                MOST_HEADER_BYTES
            ):
                raise _Refused(400, "Header overflow")

        def _route(self, body: bytes) -> object:
            if found := re.fullmatch(r"/service/([A-Za-z0-9]+)/publish/", self.path):
                self._allow(found[1], bearer=True)
                _next(api.publish_answers)
                return self._publish(body)
            if re.fullmatch(r"/service/[A-Za-z0-9]+/publish", self.path):
                raise _Refused(301, "Moved Permanently", Location=f"{self.path}/")
            if found := re.fullmatch(r"/service/([A-Za-z0-9]+)/purge(_all|/[^/?]+)?", self.path):
                self._allow(found[1])
                _next(api.purge_answers)
                return self._purge(found[2] or "", body)
            raise _Refused(404, "Record not found")

        def _allow(self, service: str, *, bearer: bool = False) -> None:
            given = {self.headers.get("Fastly-Key")}
            if bearer:
                given.add((self.headers.get("Authorization") or "").removeprefix("Bearer "))
            if api.token not in given:
                raise _Refused(401, "Provided credentials are missing or invalid")
            if service != api.service:
                raise _Refused(403, "You are not authorized to perform this action")

        def _purge(self, which: str, body: bytes) -> object:
            soft = self.headers.get("Fastly-Soft-Purge")
            if soft not in (None, "1"):
                raise _Refused(400, "Fastly-Soft-Purge is 1 or not there")
            number = len(api.purges)
            if which == "_all":
                alls = [purge for purge in api.purges if not purge.keys]
                if len(alls) >= PURGE_ALLS_AN_HOUR:
                    raise _Refused(
                        429,
                        "You have exceeded your hourly rate limit",
                        Fastly_RateLimit_Remaining="0",
                        Fastly_RateLimit_Reset=str(int(time.time()) + 3600),
                    )
                # "Purge-all requests cannot be done in soft mode"
                api.purges.append(Purge((), False, time.monotonic()))
                return {"status": "ok"}
            if which:
                keys = [which[1:].replace("%3A", ":").replace("%3a", ":")]
            elif body:
                keys = json.loads(body).get("surrogate_keys", [])
            else:
                keys = (self.headers.get("Surrogate-Key") or "").split()
            if not 1 <= len(keys) <= MOST_KEYS:
                raise _Refused(400, f"1 to {MOST_KEYS} surrogate keys, not {len(keys)}")
            if any(len(key) > MOST_KEY_BYTES for key in keys) or (
                len(" ".join(keys)) > MOST_KEYS_BYTES
            ):
                raise _Refused(400, "Surrogate keys are too long")
            api.purges.append(Purge(tuple(keys), soft == "1", time.monotonic()))
            if which:
                return {"status": "ok", "id": f"purge-{number}"}
            return {key: f"purge-{number}-{index}" for index, key in enumerate(keys)}

        def _publish(self, body: bytes) -> str:
            if self.headers.get_content_type() != "application/json":
                raise _Refused(415, "application/json is expected")
            request = json.loads(body)
            if set(request) != {"items"} or not request["items"]:
                raise _Refused(400, "items are expected")
            made = [_message(item) for item in request["items"]]
            api.bodies.append(len(body))
            api.messages += made
            return "Published\n"

        def log_message(self, format: str, *args: object) -> None:
            """The tests look at what was noted."""

    return Handler


def _next(answers: deque[tuple[int, dict[str, str]]]) -> None:
    """The error that a test ordered, if it did."""
    if answers:
        status, headers = answers.popleft()
        raise _Ordered(status, headers)


def _message(item: dict[str, Any]) -> Message:
    # GRIP's meta is not in Fastly's documents, but neither is a word against it.
    unknown = set(item) - {"channel", "id", "prev-id", "formats", "meta"}
    if unknown or not isinstance(item.get("channel"), str) or not item.get("formats"):
        raise _Refused(400, f"an item has a channel and formats, not {sorted(unknown)}")
    for name, made in item["formats"].items():
        if name not in FORMATS or set(made) - FORMATS[name]:
            raise _Refused(400, f"{name} does not have {sorted(made)}")
        content = made.get("content", made.get("body", "")).encode()
        content = content or base64.b64decode(made.get("content-bin", made.get("body-bin", "")))
        if len(content) > MOST_MESSAGE_BYTES:
            raise _Refused(413, f"a message of {len(content)} bytes")
    for name in ("id", "prev-id"):
        if not isinstance(item.get(name, ""), str):
            raise _Refused(400, f"{name} is a string")
    return Message(
        item["channel"], item.get("id"), item.get("prev-id"), item["formats"], time.monotonic()
    )
