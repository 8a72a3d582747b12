"""Another address for something that listens on loopback."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Forwarder:
    """Passes connections to `address` on to 127.0.0.1:`port`, both ways, until it is closed."""

    def __init__(self, address: tuple[str, int], port: int) -> None:
        self._port = port
        self._server = socket.create_server(address)
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
                target = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                client.close()
                continue
            for source, sink in ((client, target), (target, client)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Until either end closes; then both do. close() would not: the other pump reads there."""
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for each in (source, sink):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
