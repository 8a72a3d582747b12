"""Bytes on a socket, exactly as written: clients of HTTP libraries are too well behaved."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, with its body put together. header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), TIMEOUT_S)


def exchange(url: str, sent: bytes, *, end: bool = False, most_s: float | None = None) -> bytes:
    """Everything that comes back until the other side closes; it must, within TIMEOUT_S.

    end: say that nothing more will be sent, to a server that waits for the rest of a body.
    most_s: hang up after so many seconds without a byte, where the other side may wait for ever.
    """
    received = b""
    with connect(url) as peer:
        try:
            if most_s is not None:
                peer.settimeout(most_s)
            peer.sendall(sent)
            if end:
                peer.shutdown(socket.SHUT_WR)
            while part := peer.recv(65_536):
                received += part
        except TimeoutError:
            if most_s is None:
                raise
        except ConnectionError:  # refused while we still sent: what came before counts
            pass
    return received


def conversation(url: str, sent: bytes, *, end: bool = False) -> list[Answer]:
    """The answers to `sent`, whose last request says `Connection: close` or is refused."""
    return parse(exchange(url, sent, end=end))


def parse(received: bytes) -> list[Answer]:
    """All answers, one after the other. AssertionError when bytes are left that are none."""
    answers = []
    while received:
        head, blank, rest = received.partition(b"\r\n\r\n")
        assert blank, f"no answer: {received[:200]!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        assert first.startswith("HTTP/1."), f"no answer: {received[:200]!r}"
        status = int(first.split()[1])
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if status < 200:
            received = rest
            continue
        if headers.get("transfer-encoding") == "chunked":
            body, received = _dechunk(rest)
        elif "content-length" in headers:
            size = int(headers["content-length"])
            body, received = rest[:size], rest[size:]
        elif status in (204, 304):
            body, received = b"", rest
        else:
            body, received = rest, b""
        answers.append(Answer(status, headers, body))
    return answers


def _dechunk(rest: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        if not size:
            _trailer, _, rest = rest.partition(b"\r\n")
            return body, rest
        body, rest = body + rest[:size], rest[size + 2 :]
