"""A viewer of a relayed topic that checks every event against the one before it.

Records say where they stand: `<partition> <offset> ...`. So a gap, a duplicate and a wrong order
show at once, and the memory that it takes does not grow with what it has seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from holdfast.positions import Position

CONNECT_TIMEOUT_S = 20.0
SILENCE_S = 60.0
BACKOFF_S = (0.05, 2.0)
CHUNK_BYTES = 1 << 18


class RefusedError(Exception):
    """Not answered by 200."""


async def stream(url: str, last_id: str = "") -> AsyncIterator[bytes]:
    """The body of a GET, piece by piece as it comes. Raises RefusedError, OSError, EOFError."""
    address = urlsplit(url)
    path = address.path + (f"?{address.query}" if address.query else "")
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        reader, writer = await asyncio.open_connection(
            address.hostname, address.port, limit=CHUNK_BYTES * 4
        )
        try:
            head = f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nAccept: text/event-stream\r\n"
            if last_id:
                head += f"Last-Event-ID: {last_id}\r\n"
            writer.write(f"{head}\r\n".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
        except BaseException:
            writer.close()
            raise
    try:
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RefusedError(answer.split(b"\r\n", 1)[0].decode())
        while True:
            async with asyncio.timeout(SILENCE_S):
                size = int((await reader.readline()).strip() or b"0", 16)
            if size == 0:
                return
            left = size
            while left:
                piece = await reader.read(min(left, CHUNK_BYTES))
                if not piece:
                    raise EOFError("in the middle of a chunk")
                left -= len(piece)
                yield piece
            await reader.readexactly(2)
    finally:
        writer.close()


class Checker:
    """Takes a stream's bytes, and judges the events in it.

    position: of the last complete block. expected: the offset that has to come next, per partition.
    """

    def __init__(self) -> None:
        self._id = b""
        self._sequence = 0
        self.expected: dict[int, int] = {}
        self.events = 0
        self.bytes = 0
        self.resets: list[str] = []
        self.violations: list[str] = []
        self._rest = b""

    @property
    def position(self) -> Position | None:
        return Position.parse(self._id.decode())

    @position.setter
    def position(self, position: Position) -> None:
        self._id, self._sequence = position.id.encode(), position.sequence

    @property
    def last_id(self) -> str:
        return self._id.decode()

    def begin(self) -> None:
        """A new connection: what was not complete of the old one is gone."""
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        self.bytes += len(piece)
        *blocks, self._rest = (self._rest + piece).split(b"\n\n")
        for block in blocks:
            self._block(block)

    def _block(self, block: bytes) -> None:
        id_, plain, data = block.partition(b"\nevent: message\ndata: ")
        sequence, _, rest = id_.removeprefix(b"id: ").partition(b"/")
        if plain and id_.startswith(b"id: "):
            self._event(id_, rest, data)
        else:
            at = self._other(block)
            if at is None:
                return
            id_, sequence = b"id: " + at.id.encode(), b"%d" % at.sequence
        if int(sequence) < self._sequence:
            self.violations.append(f"a sequence that went back: {self._sequence}, {id_!r}")
        self._id, self._sequence = id_.removeprefix(b"id: "), int(sequence)

    def _event(self, id_: bytes, offsets: bytes, data: bytes) -> None:
        words = data.split(b" ", 2)
        partition, offset = int(words[0]), int(words[1])
        due = self.expected.get(partition, 0)
        self.events += 1
        if offset != due:
            self.violations.append(f"partition {partition}: {due} was due, {offset} came")
        if int(offsets.split(b",")[partition]) != offset + 1:
            self.violations.append(f"{id_!r} is the id of {partition} {offset}")
        self.expected[partition] = offset + 1

    def _other(self, block: bytes) -> Position | None:
        """A reset, or a position without an event; None for a comment."""
        fields = dict(line.partition(b": ")[::2] for line in block.split(b"\n"))
        at = Position.parse(fields.get(b"id", b"").decode())
        if at is None:
            return None
        if fields.get(b"event") == b"reset":
            self.resets.append(fields[b"data"].decode())
            self.expected = dict(enumerate(at.offsets))
        elif b"data" in fields:
            self.violations.append(f"an event of another kind: {block[:100]!r}")
        elif not self._id:
            self.expected = dict(enumerate(at.offsets))
        elif any(offset != self.expected.get(n, 0) for n, offset in enumerate(at.offsets)):
            self.violations.append(f"at {at.id}, but {self.expected} was due")
        return at


class Viewer(Checker):
    """Watches until told to stop; comes back by its last id whenever the stream ends."""

    def __init__(self, url: str, begin: str = "") -> None:
        super().__init__()
        self._url, self._query = url, begin
        self._task: asyncio.Task[None] | None = None
        self._current: asyncio.Task[None] | None = None
        self.connected = 0
        self.refused = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def drop(self) -> None:
        """Lose the connection now, in the middle of whatever it says."""
        if self._current is not None:
            self._current.cancel()

    async def _run(self) -> None:
        failures = 0
        while True:
            before = self.bytes
            self._current = asyncio.create_task(self._watch())
            try:
                await asyncio.shield(asyncio.wait([self._current]))
            except asyncio.CancelledError:
                self._current.cancel()
                raise
            failures = 0 if self.bytes > before else failures + 1
            most = min(BACKOFF_S[1], BACKOFF_S[0] * 2**failures)
            await asyncio.sleep(random.uniform(0, most))

    async def _watch(self) -> None:
        url = self._url if self.last_id else self._url + self._query
        self.begin()
        try:
            async with contextlib.aclosing(stream(url, self.last_id)) as pieces:
                self.connected += 1
                async for piece in pieces:
                    self.feed(piece)
        except (OSError, EOFError, RefusedError, ValueError, TimeoutError):
            self.refused += 1
