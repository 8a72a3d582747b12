"""A TCP proxy in front of Kafka that can lose an acknowledgement."""

from __future__ import annotations

import socket
import struct
import threading

HOST = "127.0.0.1"
PRODUCE = 0  # its API key (Kafka protocol guide, "API Keys")


class KafkaProxy:
    """Forwards to the broker at `port`, and puts its own port where the broker names itself.

    lose: as often, the answer to a produce request is dropped and the connection cut.
    """

    def __init__(self, port: int) -> None:
        self._broker = port
        self._server = socket.create_server((HOST, 0))
        self.port = self._server.getsockname()[1]
        self.lose = 0
        self.lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection((HOST, self._broker))
            except OSError:  # a producer outlives the broker it was made for
                client.close()
                continue
            produces: set[int] = set()
            for pump in (self._requests, self._answers):
                threading.Thread(target=pump, args=(client, broker, produces), daemon=True).start()

    def _requests(self, client: socket.socket, broker: socket.socket, produces: set[int]) -> None:
        while (message := _read(client)) is not None:
            api_key, _, correlation = struct.unpack_from(">hhi", message, 4)
            if api_key == PRODUCE:
                produces.add(correlation)
            broker.sendall(message)
        _end(client, broker)

    def _answers(self, client: socket.socket, broker: socket.socket, produces: set[int]) -> None:
        # The broker's host and port as they stand in an answer to a metadata request, whose
        # strings come with their length, or with their length plus one.
        named = [
            (length + HOST.encode() + struct.pack(">i", self._broker), length)
            for length in (struct.pack(">h", len(HOST)), bytes([len(HOST) + 1]))
        ]
        while (message := _read(broker)) is not None:
            (correlation,) = struct.unpack_from(">i", message, 4)
            if correlation in produces and self.lose:
                self.lose -= 1
                self.lost += 1
                break
            for place, length in named:
                message = message.replace(
                    place, length + HOST.encode() + struct.pack(">i", self.port)
                )
            try:
                client.sendall(message)
            except OSError:
                break
        _end(client, broker)


def _read(source: socket.socket) -> bytes | None:
    """One message with its length in front; None at the end."""
    head = _exactly(source, 4)
    if head is None:
        return None
    body = _exactly(source, struct.unpack(">i", head)[0])
    return None if body is None else head + body


def _exactly(source: socket.socket, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        try:
            some = source.recv(count - len(data))
        except OSError:
            return None
        if not some:
            return None
        data += some
    return data


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
