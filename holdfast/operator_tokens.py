"""Operators' tokens, as the environment names them."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z0-9._-]{1,32}")
TOKEN = re.compile(r"[!-+\--9;-~]{16,256}")  # visible ASCII without comma and colon


def named_tokens(text: str) -> dict[str, str]:
    """Tokens by name, from `alice:token,bob:token`. ValueError never shows one."""
    tokens: dict[str, str] = {}
    for place, part in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        name, _, token = part.partition(":")
        if not NAME.fullmatch(name) or not TOKEN.fullmatch(token) or name in tokens:
            raise ValueError(
                f"entry {place} is not name:token with a name of its own and a token of 16 visible "
                "characters or more"
            )
        tokens[name] = token
    return tokens
