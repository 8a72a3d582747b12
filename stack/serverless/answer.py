"""What a function returned, as the answer that a gateway makes of it: payload 2.0."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from typing import Any

import msgspec

from holdfast.errors import HoldfastError

# Of one hop, or counted anew by who sends the answer.
_NOT_PASSED_ON = frozenset({"connection", "transfer-encoding", "keep-alive"})


class FunctionError(HoldfastError):
    """The function raised, ended, took too long, or returned what is no answer."""


class FunctionTimeoutError(FunctionError):
    """It took longer than it may."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def of_invocation(returned: bytes) -> Answer:
    """The answer to the request. Raises FunctionError."""
    # The emulator says so in plain words, with a 200.
    if returned.startswith(b"Task timed out"):
        raise FunctionTimeoutError(returned.decode())
    try:
        result: Any = msgspec.json.decode(returned)
    except msgspec.DecodeError as error:
        raise FunctionError(f"no JSON: {returned[:200]!r}") from error
    if not isinstance(result, dict) or "statusCode" not in result:
        if isinstance(result, dict) and "errorMessage" in result:
            raise FunctionError(f"{result.get('errorType')}: {result['errorMessage']}")
        # Whatever else a function returns is the body of a 200.
        return Answer(200, [("content-type", "application/json")], returned)
    text = result.get("body") or ""
    headers = [
        (name, str(value))
        for name, value in (result.get("headers") or {}).items()
        if name.lower() not in _NOT_PASSED_ON
    ]
    headers += [("set-cookie", cookie) for cookie in result.get("cookies") or ()]
    body = b64decode(text) if result.get("isBase64Encoded") else text.encode()
    return Answer(int(result["statusCode"]), headers, body)
