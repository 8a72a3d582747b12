"""Updates: what an HTTP body or a Kafka record may say, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from holdfast.errors import UpdateError
from holdfast.values import HOME_TOPIC, Reduce, Rules

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
MAX_VALUE_BYTES = 16 * 1024
MAX_BODY_BYTES = 2 * MAX_VALUE_BYTES  # a value may arrive escaped or indented

OPERATION: dict[Reduce, Literal["add", "set"]] = {"sum": "add", "latest": "set"}


@dataclass(frozen=True, slots=True)
class Update:
    """One change: `add` of a 64-bit integer, or `set` to the compact JSON in `json`."""

    add: int = 0
    json: bytes = b""

    def encode(self, reduce: Reduce) -> bytes:
        """The value of the Kafka record that carries this update on the home topic."""
        if reduce == "sum":
            return b'{"add":%d}' % self.add
        return b'{"set":%b}' % self.json


def parse_body(body: bytes, rules: Rules) -> Update:
    """The update in `{"add": n}` or `{"set": v}`, checked against the value's reducer.

    Raises UpdateError: 400 when the body isn't JSON (RFC 8259 knows no NaN), 413 when it is too
    large, 422 when it is JSON but not an update of this value.
    """
    if len(body) > MAX_BODY_BYTES:
        raise UpdateError(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
    return parse_document(decode(body, "the body"), rules)


def parse_document(document: Any, rules: Rules) -> Update:
    """The update in what such a body decodes to. Raises UpdateError: 413 or 422."""
    if rules.topic != HOME_TOPIC:
        raise UpdateError(422, f"{rules.name} is fed by the topic {rules.topic} and nobody else")
    wanted = OPERATION[rules.reduce]
    if not isinstance(document, dict):
        raise UpdateError(422, f'an update is an object: {{"{wanted}": ...}}')
    if set(document) != {wanted}:
        if {"add", "set"} <= set(document):
            raise UpdateError(422, "an update holds either add or set, not both")
        raise UpdateError(
            422, f'{rules.name} is a {rules.reduce}: its updates hold "{wanted}" and nothing else'
        )
    return _operand(document[wanted], rules.reduce)


def parse_record(value: bytes | None, rules: Rules) -> Update:
    """The update in a Kafka record; on a foreign topic the record, or its field, is the operand.

    Raises UpdateError when the record is malformed: set it aside, go on.
    """
    if value is None:
        raise UpdateError(422, "a tombstone updates nothing")
    if rules.topic == HOME_TOPIC:
        return parse_body(value, rules)
    document = decode(value, "the record")
    if rules.field is not None:
        if not isinstance(document, dict) or rules.field not in document:
            raise UpdateError(422, f"the record has no field {rules.field}")
        document = document[rules.field]
    return _operand(document, rules.reduce)


def decode(text: bytes, what: str) -> Any:
    """JSON as msgspec reads it. Raises UpdateError about `what`: 400 if it is none, 422."""
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        # JSON by its grammar, but a number like 1e400 that no program can hold.
        raise UpdateError(422, "a number is out of range") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UpdateError(400, f"{what} is not JSON: {error}") from None
    except RecursionError:
        raise UpdateError(422, "the JSON is nested too deeply") from None


def _operand(operand: Any, reduce: Reduce) -> Update:
    if reduce == "sum":
        # bool is an int to Python, but `true` is no number to anybody who posts it.
        if not isinstance(operand, int) or isinstance(operand, bool):
            raise UpdateError(422, "add must be an integer")
        if not INT64_MIN <= operand <= INT64_MAX:
            raise UpdateError(422, "add must fit in 64 bits")
        return Update(add=operand)
    try:
        encoded = msgspec.json.encode(operand)
    except RecursionError:
        raise UpdateError(422, "the JSON is nested too deeply") from None
    if len(encoded) > MAX_VALUE_BYTES:
        raise UpdateError(413, f"the value is larger than {MAX_VALUE_BYTES} bytes of JSON")
    return Update(json=encoded)
