"""What a WebSocket's client says, and what it is answered (docs/websocket.md)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gripcontrol import WebSocketEvent

from holdfast.access_tokens import Grant
from holdfast.errors import KafkaUnavailableError, UnavailableError, UpdateError
from holdfast.idempotency import parse_header
from holdfast.messages import (
    Add,
    Id,
    Set,
    Subscribe,
    Unsubscribe,
    answer,
    error,
    read_document,
    read_id,
    read_message,
)
from holdfast.updates import parse_document
from holdfast.values import HOME_TOPIC, Rules
from origin import metrics
from origin.parts import Parts
from origin.produce import Sent
from origin.socket_events import message, pack, subscribe, unsubscribe
from origin.socket_memory import BURST, PER_SECOND, SocketMemory
from origin.subscribing import Subscribing
from origin.views import channel_of

# Pushpin drops a socket whose answer is larger than 1,000,000 bytes. No more messages are looked at
# beyond the first, no more values shown beyond the second; one message's other answers fit above.
ENOUGH_BYTES = 500_000
MOST_SHOWN_BYTES = 750_000


@dataclass(frozen=True, slots=True)
class _Update:
    """On its way to Kafka; its answer is due once everything else was looked at."""

    id: Id
    name: str
    sent: Sent

    def answer(self) -> bytes:
        try:
            partition, offset = self.sent.wait()
        except KafkaUnavailableError:
            return error(503, "Kafka did not acknowledge it", self.id, self.name)
        place = {"topic": HOME_TOPIC, "partition": partition, "offset": offset}
        return answer("accepted", self.id, name=self.name, **place)


class Conversation:
    """Answers the events of one socket, in their order.

    value: the one that the socket is for, None = those that it subscribes to. memory: of what came
    before; it is changed. who: what the client's token allows, asked only where that matters.
    """

    def __init__(
        self,
        parts: Parts,
        value: Rules | None,
        memory: SocketMemory,
        who: Callable[[], Grant | None] = lambda: None,
    ) -> None:
        self._parts = parts
        self._who = who
        self._value = value
        self._memory = memory
        self._controls: list[WebSocketEvent] = []
        self._answers: list[bytes | _Update] = []
        self._size = 0

    def hear(self, events: Sequence[WebSocketEvent]) -> list[WebSocketEvent]:
        """The answer to `events`. Waits for Kafka once, for all updates together."""
        self._memory.fill(int(time.time() * 1000))
        passed_over = 0
        last: list[WebSocketEvent] = []
        for event in events:
            if event.type in ("TEXT", "BINARY"):
                if passed_over or self._size > ENOUGH_BYTES or not self._memory.take():
                    passed_over += 1
                else:
                    self._hear(event)
            elif event.type == "PING":  # only the last wants an answer (RFC 6455, 5.5.3)
                last = [WebSocketEvent("PONG", event.content)]
            elif event.type == "CLOSE":
                last.append(WebSocketEvent("CLOSE", event.content))
                break
        if passed_over:
            self._pass_over(passed_over)
        texts = [it.answer() if isinstance(it, _Update) else it for it in self._answers]
        return [*self._controls, *map(message, pack(texts)), *last]

    def _hear(self, event: WebSocketEvent) -> None:
        id_: Id = None
        kind = "wrong"
        try:
            if event.type == "BINARY":
                raise UpdateError(400, "messages are text, not binary")
            document = read_document(event.content or b"")
            id_ = read_id(document)
            said = read_message(document)
            kind = type(said).__name__.lower()
            if isinstance(said, Subscribe | Unsubscribe):
                self._choose(said, id_)
            elif isinstance(said, Add | Set):
                self._update(said, kind, id_)
            else:
                self._say(answer("pong", id_))
        except UpdateError as fault:
            self._say(error(fault.status, fault.detail, id_))
        except UnavailableError:
            self._say(error(503, "try again shortly", id_))
        metrics.MESSAGES.labels(kind).inc()

    def _pass_over(self, count: int) -> None:
        """All of them in one: it is what comes of a flood."""
        metrics.MESSAGES.labels("passed over").inc(count)
        detail = f"the last {count} messages were not looked at, send them again later: "
        detail += f"{BURST} may come at once, and {PER_SECOND} a second"
        self._say(error(429, detail))

    def _choose(self, said: Subscribe | Unsubscribe, id_: Id) -> None:
        if self._value is not None:
            raise UpdateError(422, f"this connection is for {self._value.name}; use /ws for others")
        if isinstance(said, Unsubscribe):
            for name in self._memory.unsubscribe(said.names):
                self._tell_pushpin(unsubscribe(channel_of(name)))
            self._say(answer("unsubscribed", id_, names=said.names))
            return
        result = Subscribing(self._parts, self._memory, MOST_SHOWN_BYTES - self._size, self._who)
        result.subscribe(said.names)
        for name in result.shown:
            self._tell_pushpin(subscribe(channel_of(name)))
        if result.names:
            self._say(answer("subscribed", id_, names=result.names))
        for text in result.shown.values():
            self._say(text)
        for name, status, detail in result.faults:
            self._say(error(status, detail, id_, name))

    def _update(self, said: Add | Set, operation: str, id_: Id) -> None:
        if self._value is not None and said.name is not None:
            raise UpdateError(422, f"this connection is for {self._value.name}: leave out name")
        rules = self._value
        if rules is None:
            if said.name is None:
                raise UpdateError(422, "name is missing")
            rules = self._parts.values.rules(said.name)
        if rules is None:
            raise UpdateError(404, "no such value")
        if self._parts.access.post_needs_token(rules):
            grant = self._who()
            if grant is None or not grant.allows("write", rules.name):
                raise UpdateError(403, "connect with a token that allows to write it")
        update = parse_document({operation: said.value}, rules)
        sent = self._parts.producer.start(
            rules.name, update.encode(rules.reduce), parse_header(said.key)
        )
        self._answers.append(_Update(id_, rules.name, sent))
        self._size += 500  # more than its answer will have

    def _say(self, text: bytes) -> None:
        self._answers.append(text)
        self._size += len(text)

    def _tell_pushpin(self, control: WebSocketEvent) -> None:
        self._controls.append(control)
        self._size += len(control.content)
