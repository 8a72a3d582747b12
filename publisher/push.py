"""Publishing to Pushpin's control endpoint (POST /publish/ with a list of items).

Not by gripcontrol's own client: it has no timeout, and an exception in a callback ends its worker.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
import msgspec
import requests
from gripcontrol import parse_grip_uri

from holdfast.errors import UnavailableError
from holdfast.formats import confirm_items, stale_hint
from holdfast.snapshots import Snapshot
from publisher import metrics
from publisher.nodes import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, Node

log = logging.getLogger(__name__)

# Pushpin's push_in_http_max_body_size, less room for the envelope: more is answered by 400.
MAX_BODY_BYTES = 900_000


# Confirms are made while they are sent, so many at once: a snapshot may have 16 kB.
CONFIRM_BATCH = 250


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

    @classmethod
    def confirm(cls, name: str, version: int, *, text: bool) -> Publication:
        return cls(name, version, text, None)


class PushNode(Node[Sequence[Publication]]):
    """One Pushpin, or Fanout. An item is sent once; what was missed is settled by a confirm.

    snapshots: the newest releases of values by name, for confirms; UnavailableError = not now.
    """

    kind = "pushpin"

    def __init__(
        self,
        grip_url: str,
        snapshots: Callable[[Sequence[str]], Mapping[str, Snapshot]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = parse_grip_uri(grip_url)
        super().__init__(self._config["control_uri"].rstrip("/"), clock)
        self._snapshots = snapshots
        self._owed: dict[str, tuple[int, bool]] = {}

    def send(self, work: Sequence[Publication]) -> None:
        for body in bodies(self._items(work)):
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
        # With nothing owed, a hint stands in: the node has to prove that it is back.
        self.send(owed or [Publication("", 0, False, (stale_hint(),))])
        self._owed.clear()

    def _items(self, work: Sequence[Publication]) -> Iterator[dict[str, Any]]:
        ask = True
        for start in range(0, len(work), CONFIRM_BATCH):
            batch = work[start : start + CONFIRM_BATCH]
            names = [publication.name for publication in batch if publication.items is None]
            newest: Mapping[str, Snapshot] = {}
            if names and ask:
                try:
                    newest = self._snapshots(names)
                except UnavailableError as error:
                    # WebSockets have to wait for the next confirm; nobody else needs it.
                    metrics.REDIS_ERRORS.inc()
                    log.warning("confirms go without snapshots: %s", error)
                    ask = False
            for publication in batch:
                if publication.items is not None:
                    yield from publication.items
                else:
                    yield from _confirm(publication, newest.get(publication.name))

    def count(self, result: str) -> None:
        metrics.PUBLISHES.labels(self.url, result).inc()

    def _post(self, body: bytes) -> None:
        publish(self.session, self.url, self._config, body, READ_TIMEOUT_S)


def _confirm(publication: Publication, newest: Snapshot | None) -> list[dict[str, Any]]:
    """Of the version that it is a confirm of, or of none: a newer one brings an item of its own."""
    shown = newest if newest is not None and newest.version == publication.version else None
    return confirm_items(publication.name, publication.version, shown, text=publication.text)


def publish(
    session: requests.Session, url: str, config: Mapping[str, Any], body: bytes, timeout_s: float
) -> None:
    """POST one body to a control endpoint. config: of parse_grip_uri. Raises RequestException."""
    answer = session.post(
        f"{url}/publish/",
        data=body,
        headers={"Content-Type": "application/json", **authorization(config)},
        timeout=(CONNECT_TIMEOUT_S, timeout_s),
    )
    answer.raise_for_status()


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
