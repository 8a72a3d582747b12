"""An HTTP/1.1 answer as it arrives, cut anywhere; cheap for one chunk at a time."""

from __future__ import annotations


class Answer:
    """Takes bytes, gives those of the body: chunked framing (RFC 9112, 7.1) taken off.

    status: 0 until the head is there. ended: nothing more follows; a body without a length ends
    with its connection only. Raises ValueError when it is no HTTP.
    """

    __slots__ = ("_chunked", "_left", "_rest", "ended", "status")

    def __init__(self) -> None:
        self.status = 0
        self.ended = False
        self._chunked = False
        self._left: int | None = None
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """What `data` adds to the body."""
        if self._chunked and not self._rest:
            # Nearly always: exactly one whole chunk, which a proxy wrote at once.
            cut = data.find(b"\r\n")
            if 0 < cut <= 8 and len(data) == int(data[:cut], 16) + cut + 4 > cut + 4:
                return data[cut + 2 : -2]
        self._rest += data
        if not self.status and not self._read_head():
            return b""
        return self._read_chunks() if self._chunked else self._read_plain()

    def _read_head(self) -> bool:
        head, end, rest = self._rest.partition(b"\r\n\r\n")
        if not end:
            return False
        first, *lines = head.split(b"\r\n")
        protocol, _, status = first.partition(b" ")
        if not protocol.startswith(b"HTTP/1."):
            raise ValueError("not an HTTP answer")
        fields = {
            name.strip().lower(): value.strip().lower()
            for name, _, value in (line.partition(b":") for line in lines)
        }
        self._chunked = b"chunked" in fields.get(b"transfer-encoding", b"")
        length = fields.get(b"content-length")
        if length is not None and not self._chunked:
            self._left = int(length)
        self._rest = rest
        self.status = int(status[:3])
        return True

    def _read_plain(self) -> bytes:
        body, self._rest = self._rest, b""
        if self._left is not None:
            self._left -= len(body)
            self.ended = self._left <= 0
        return body

    def _read_chunks(self) -> bytes:
        pieces: list[bytes] = []
        while not self.ended:
            line, end, rest = self._rest.partition(b"\r\n")
            if not end:
                break
            size = int(line.split(b";")[0], 16)
            if len(rest) < size + 2:
                break
            pieces.append(rest[:size])
            self._rest = rest[size + 2 :]
            self.ended = size == 0
        return b"".join(pieces)
