"""HTTP/2 exactly as written, on one connection: clients of HTTP libraries are too well behaved."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

from tests.front_door.doors import Door

TIMEOUT_S = 20.0
Fields = list[tuple[str, str]]


@dataclass
class Answer:
    """What came back on a stream. reset: it was ended by RST_STREAM before it was complete."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False
    reset: bool = False

    @property
    def status(self) -> int:
        """0: nothing came."""
        return int(self.headers.get(":status", 0))


class Client:
    """Sends any fields; nothing is checked or put right."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._http = h2.connection.H2Connection(
            h2.config.H2Configuration(
                header_encoding="utf-8",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._http.initiate_connection()
        self.terminated = False

    def ask(self, fields: Fields, body: bytes = b"", *, end: bool = True) -> Answer:
        """The whole answer, or as much as comes before the stream or the connection ends."""
        stream, answer = self._http.get_next_available_stream_id(), Answer()
        self._http.send_headers(stream, fields, end_stream=end and not body)
        if body:
            self._http.send_data(stream, body, end_stream=end)
        self._peer.sendall(self._http.data_to_send())
        while not (answer.ended or answer.reset or self.terminated):
            received = self._peer.recv(65_536)
            if not received:
                self.terminated = True
                break
            for event in self._http.receive_data(received):
                if isinstance(event, h2.events.ConnectionTerminated):
                    self.terminated = True
                elif getattr(event, "stream_id", None) == stream:
                    self._take(event, answer)
            self._peer.sendall(self._http.data_to_send())
        return answer

    def _take(self, event: h2.events.Event, answer: Answer) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            answer.headers = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            answer.ended = True
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = True


@contextmanager
def connect(door: Door) -> Iterator[Client]:
    door.context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", door.port), TIMEOUT_S) as peer,
        door.context.wrap_socket(peer, server_hostname="localhost") as secured,
    ):
        assert secured.selected_alpn_protocol() == "h2"
        yield Client(secured)


def fields(method: str, path: str, *more: tuple[str, str], authority: str = "localhost") -> Fields:
    """Those of a request."""
    known = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]
    return [*known, *more]
