"""Idempotency keys: what a client sends so that a repeated update counts once.

As in the IETF draft "The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-
header), where the key is a quoted string; without quotes it is the same key.
"""

from __future__ import annotations

import hashlib
import re

from holdfast.errors import UpdateError

KAFKA_HEADER = "idempotency-key"
MAX_KEY_BYTES = 255
_DIGEST_BYTES = 16
# No comma: it is what joins two headers of one name.
_KEY = re.compile(r'"(?P<quoted>[!#-+\--~]{1,255})"|(?P<bare>[!#-+\--~]{1,255})')


def parse_header(text: str | None) -> bytes | None:
    """The key in an `Idempotency-Key` header, None without one. UpdateError (400) if malformed."""
    if text is None:
        return None
    match = _KEY.fullmatch(text.strip())
    if match is None:
        raise UpdateError(
            400,
            f"Idempotency-Key is one key of 1 to {MAX_KEY_BYTES} visible ASCII characters, "
            'with no comma and no quote inside, e.g. "8e03978e-40d5-43dd-bc93-6894a57f9324"',
        )
    return (match["quoted"] or match["bare"]).encode()


def digest(key: bytes | None) -> bytes:
    """What is remembered of a record's key: 16 bytes whatever its length; b"" = no key.

    Raises UpdateError when the key can't be one: set the record aside.
    """
    if key is None:
        return b""
    if not 1 <= len(key) <= MAX_KEY_BYTES:
        raise UpdateError(422, f"an idempotency key has 1 to {MAX_KEY_BYTES} bytes")
    return hashlib.blake2b(key, digest_size=_DIGEST_BYTES).digest()
