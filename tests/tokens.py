"""Tokens as an application of ours would make them, good ones and bad."""

from __future__ import annotations

import time
from typing import Any

import jwt

KEY = "the key that our applications sign with"


def token(
    *,
    key: Any = KEY,
    algorithm: str = "HS256",
    key_id: str | None = None,
    lives_s: float = 7200,
    leave_out: str = "",
    aud: str = "holdfast",
    claims: dict[str, Any] | None = None,
    **rights: list[str],
) -> str:
    """rights: read, write, events. lives_s: as long as any run of all tests; below 0: expired.

    leave_out: a claim.
    """
    body = {"aud": aud, "exp": int(time.time() + lives_s), "holdfast": rights, **(claims or {})}
    body.pop(leave_out, None)
    return jwt.encode(body, key, algorithm, headers={"kid": key_id} if key_id else None)


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}
