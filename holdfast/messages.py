"""What clients say on a WebSocket, and what they are told (docs/websocket.md).

Releases themselves are in formats.py, beside the other transports.
"""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.errors import UpdateError
from holdfast.updates import MAX_BODY_BYTES, decode

MAX_SUBSCRIPTIONS = 100  # of one WebSocket; Pushpin's connection_subscription_max too
MAX_ID_CHARACTERS = 64
HEARTBEAT = b'{"type":"heartbeat"}'

Id = str | int | None


class _Said(
    msgspec.Struct, forbid_unknown_fields=True, tag_field="type", frozen=True, kw_only=True
):
    id: Any = None  # read_id has looked at it


class Subscribe(_Said, tag="subscribe", frozen=True, kw_only=True):
    names: tuple[str, ...]


class Unsubscribe(_Said, tag="unsubscribe", frozen=True, kw_only=True):
    names: tuple[str, ...]


class Add(_Said, tag="add", frozen=True, kw_only=True):
    value: Any
    name: str | None = None
    key: str | None = None


class Set(_Said, tag="set", frozen=True, kw_only=True):
    value: Any
    name: str | None = None
    key: str | None = None


class Ping(_Said, tag="ping", frozen=True, kw_only=True):
    pass


Message = Subscribe | Unsubscribe | Add | Set | Ping


def read_document(text: bytes) -> dict[str, Any]:
    """The JSON object of a message. Raises UpdateError: 413 too large, 400 no JSON object."""
    if len(text) > MAX_BODY_BYTES:
        raise UpdateError(413, f"the message is larger than {MAX_BODY_BYTES} bytes")
    document = decode(text, "the message")
    if not isinstance(document, dict):
        raise UpdateError(400, "a message is a JSON object")
    return document


def read_id(document: dict[str, Any]) -> Id:
    """What answers repeat; None without one. Raises UpdateError (422) when it can't be one."""
    id_ = document.get("id")
    if id_ is None or (isinstance(id_, str) and len(id_) <= MAX_ID_CHARACTERS):
        return id_
    if isinstance(id_, int) and not isinstance(id_, bool) and abs(id_) < 2**53:
        return id_
    raise UpdateError(
        422, f"an id is a string of at most {MAX_ID_CHARACTERS} characters or an integer"
    )


def read_message(document: dict[str, Any]) -> Message:
    """Raises UpdateError: 400 for an unknown type, 422 for a field that is wrong or missing."""
    if document.get("type") not in _TYPES:
        raise UpdateError(400, f"type is one of {', '.join(_TYPES)}")
    try:
        message: Message = msgspec.convert(document, Message)
    except msgspec.ValidationError as error:
        raise UpdateError(422, str(error)) from None
    if isinstance(message, Subscribe | Unsubscribe) and not (
        1 <= len(message.names) <= MAX_SUBSCRIPTIONS
    ):
        raise UpdateError(422, f"names has 1 to {MAX_SUBSCRIPTIONS} names")
    return message


_TYPES = ("subscribe", "unsubscribe", "add", "set", "ping")


def answer(type_: str, id_: Id, **fields: Any) -> bytes:
    """A message to the client; fields that are None are left out, an absent id too."""
    document = {"type": type_, "id": id_, **fields}
    return msgspec.json.encode({name: it for name, it in document.items() if it is not None})


def error(status: int, detail: str, id_: Id = None, name: str | None = None) -> bytes:
    """Says what is wrong with a message; statuses are HTTP's. 429 and 503 may be tried again."""
    retry = status in (429, 503)
    return answer("error", id_, name=name, status=status, detail=detail, retry=retry)
