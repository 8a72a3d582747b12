"""Origins as browsers name them (RFC 6454): a scheme, a host, and a port that is not the usual."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit


def origins(value: Any) -> Any:
    """A comma separated list of them. ValueError where one is none."""
    if not isinstance(value, str):
        return value
    found = tuple(part.strip().lower() for part in value.split(",") if part.strip())
    for each in found:
        address = urlsplit(each)
        if (
            address.scheme not in ("http", "https")
            or not address.hostname
            or each != f"{address.scheme}://{address.netloc}"
        ):
            raise ValueError("each is a scheme and a host, like https://app.example, and no path")
    return found


def host_of(origin: str) -> str | None:
    """Its host without the port; None for `null` and what is none."""
    try:
        return urlsplit(origin).hostname
    except ValueError:
        return None
