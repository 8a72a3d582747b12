"""Publishing to Pushpin's control endpoint (POST /publish/ with a list of items), or to Fanout's,
which is the same below https://api.fastly.com/service/<id>
(https://www.fastly.com/documentation/reference/api/publishing/).

Not by gripcontrol's own client: it has no timeout, and an exception in a callback ends its worker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
import msgspec
import requests
from gripcontrol import parse_grip_uri

from holdfast.config import is_fanout
from holdfast.formats import confirm_items, private_channel, probe
from publisher import metrics
from publisher.newest import Newest
from publisher.nodes import READ_TIMEOUT_S, Node, connect_timeout_s
from publisher.refusal import check

# Pushpin's push_in_http_max_body_size, less room for the envelope: more is answered by 400.
MAX_BODY_BYTES = 900_000
# Fastly documents no limit for Fanout. Fanout's former cloud took messages of up to 64 kB, says
# its maker (fastly/pushpin#47690): requests stay below that, but for a single item that does not.
FANOUT_BODY_BYTES = 60_000

# Confirms are made while they are sent, so many at once: a message may have 16 kB.
CONFIRM_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Publication:
    """Items of one value at one version, and what settles them if a node misses them.

    text: the value is the one that /stream serves. name "" = nothing is owed (a hint).
    items: None = a confirm.
    """

    name: str
    version: int
    text: bool
    items: tuple[dict[str, Any], ...] | None

    @property
    def hint(self) -> bool:
        return any("action" in item["formats"]["http-stream"] for item in self.items or ())

    @classmethod
    def confirm(cls, name: str, version: int, *, text: bool) -> Publication:
        return cls(name, version, text, None)


class PushNode(Node[Sequence[Publication]]):
    """One Pushpin, or Fanout. An item is sent once; what was missed is settled by a confirm.

    newest: what confirms show on WebSockets. private: of a value's name.
    """

    kind = "pushpin"

    def __init__(
        self,
        grip_url: str,
        newest: Newest,
        clock: Callable[[], float] = time.monotonic,
        fastly_key: str | None = None,
        private: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self._config = control(grip_url, fastly_key)
        self._fanout = is_fanout(grip_url)
        self._most_bytes = FANOUT_BODY_BYTES if self._fanout else MAX_BODY_BYTES
        super().__init__(self._config["control_uri"].rstrip("/"), clock)
        self._newest = newest
        self._private = private
        self._owed: dict[str, tuple[int, bool]] = {}

    def send(self, work: Sequence[Publication]) -> None:
        if self._fanout:
            # Fastly's documents know no hints, and the edge in front of Fanout no stale holds.
            work = [publication for publication in work if not publication.hint]
        for body in bodies(self._items(work), self._most_bytes):
            self._post(body)

    def owe(self, work: Sequence[Publication]) -> None:
        for publication in work:
            if publication.name:
                self._owed[publication.name] = (publication.version, publication.text)

    def settle(self) -> None:
        owed = [
            Publication.confirm(name, version, text=text)
            for name, (version, text) in self._owed.items()
        ]
        if owed:
            self.send(owed)
        else:  # the node has to prove that it is back
            for body in bodies([probe()]):
                self._post(body)
        self._owed.clear()

    def _items(self, work: Sequence[Publication]) -> Iterator[dict[str, Any]]:
        for name, item in self._named_items(work):
            if name and self._private(name):
                item = {**item, "channel": private_channel(item["channel"])}
            yield item

    def _named_items(self, work: Sequence[Publication]) -> Iterator[tuple[str, dict[str, Any]]]:
        for start in range(0, len(work), CONFIRM_BATCH):
            batch = work[start : start + CONFIRM_BATCH]
            newest = self._newest.messages(
                (each.name, each.version) for each in batch if each.items is None
            )
            for each in batch:
                if each.items is not None:
                    items: Iterable[dict[str, Any]] = each.items
                else:
                    message = newest.get(each.name)
                    items = confirm_items(each.name, each.version, message, text=each.text)
                yield from ((each.name, item) for item in items)

    def count(self, result: str) -> None:
        metrics.PUBLISHES.labels(self.url, result).inc()

    def _post(self, body: bytes) -> None:
        publish(self.session, self.url, self._config, body, READ_TIMEOUT_S)


def publish(
    session: requests.Session, url: str, config: Mapping[str, Any], body: bytes, timeout_s: float
) -> None:
    """POST one body to a control endpoint. config: of parse_grip_uri. Raises RequestException."""
    answer = session.post(
        f"{url}/publish/",
        data=body,
        headers={"Content-Type": "application/json", **authorization(config)},
        timeout=(connect_timeout_s(url), timeout_s),
        allow_redirects=False,
    )
    check(answer)


def control(grip_url: str, fastly_key: str | None = None) -> dict[str, Any]:
    """What parse_grip_uri says; a Fastly service without a key of its own gets `fastly_key`."""
    config: dict[str, Any] = parse_grip_uri(grip_url)
    if is_fanout(grip_url) and fastly_key is not None:
        config.setdefault("key", fastly_key)
    return config


def authorization(config: Mapping[str, Any]) -> dict[str, str]:
    """GRIP URLs carry an issuer and a key (Fanout Cloud), a bare key (Fastly), or neither.

    config: of parse_grip_uri.
    """
    key = config.get("key")
    if key is None:
        return {}
    issuer = config.get("control_iss")
    if issuer is None:
        return {"Authorization": f"Bearer {key.decode() if isinstance(key, bytes) else key}"}
    claim = {"iss": issuer, "exp": int(time.time()) + 600}
    return {"Authorization": f"Bearer {jwt.encode(claim, key, algorithm='HS256')}"}


def bodies(items: Iterable[dict[str, Any]], limit: int = MAX_BODY_BYTES) -> Iterator[bytes]:
    """Request bodies of at most `limit` bytes that carry `items` in order."""
    batch: list[bytes] = []
    size = 0
    for item in items:
        encoded = msgspec.json.encode(item)
        if batch and size + len(encoded) > limit:
            yield b'{"items":[' + b",".join(batch) + b"]}"
            batch, size = [], 0
        batch.append(encoded)
        size += len(encoded) + 1
    if batch:
        yield b'{"items":[' + b",".join(batch) + b"]}"
