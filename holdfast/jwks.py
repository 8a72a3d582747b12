"""Public keys of who makes tokens: a JWKS (RFC 7517) at a URL or in a file, kept and renewed."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
from jwt import PyJWK

from holdfast.errors import UnavailableError
from holdfast.public_keys import public_keys

log = logging.getLogger(__name__)

FRESH_S = 300.0  # asked again when it is older
PAUSE_S = 10.0  # between two questions, whatever ids tokens name
TIMEOUT_S = 3.0
MOST_BYTES = 262_144


class Jwks:
    """The keys at `url`: http, https or file. Asked with the first token, never by itself.

    A token that names a key which is not there makes it ask again, but only every PAUSE_S: anybody
    may name any. While it can't be had, what was there before counts on.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: tuple[PyJWK, ...] = ()
        self._asked_at: float | None = None

    def candidates(self, key_id: str | None) -> Sequence[tuple[Any, str]]:
        """As access_tokens.Keys. Raises UnavailableError when no key was ever had."""
        if self._due(FRESH_S) or (not self._named(key_id) and self._due(PAUSE_S)):
            self._renew()
        if not self._keys:
            raise UnavailableError("the keys of tokens can't be had")
        return [(key, key.algorithm_name) for key in self._named(key_id)]

    def _named(self, key_id: str | None) -> list[PyJWK]:
        """Those that are called so; all of them for a token that names none."""
        return [key for key in self._keys if key_id is None or key.key_id in (None, key_id)]

    def _due(self, after_s: float) -> bool:
        return self._asked_at is None or self._clock() - self._asked_at >= after_s

    def _renew(self) -> None:
        """One at a time; whoever finds it under way goes on with what there is."""
        first = not self._keys
        if not self._lock.acquire(blocking=first):
            return
        try:
            if not self._due(PAUSE_S):
                return
            self._asked_at = self._clock()
            self._keys = _usable(self._read())
        except (OSError, ValueError, requests.RequestException) as error:
            log.warning("the keys of tokens can't be had: %s", type(error).__name__)
        finally:
            self._lock.release()

    def _read(self) -> bytes:
        address = urlsplit(self._url)
        if address.scheme == "file":
            return Path(unquote(address.path)).read_bytes()
        with requests.get(self._url, timeout=TIMEOUT_S, stream=True) as answer:
            answer.raise_for_status()
            body: bytes = answer.raw.read(MOST_BYTES + 1, decode_content=True)
        if len(body) > MOST_BYTES:
            raise ValueError("too large")
        return body


def _usable(text: bytes) -> tuple[PyJWK, ...]:
    """Those that we can check signatures with: a set may hold keys for other ends as well."""
    document = json.loads(text)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("not a JWKS")
    found: list[PyJWK] = []
    for each in document["keys"]:
        if isinstance(each, dict) and each.get("use", "sig") == "sig":
            try:
                found += public_keys(json.dumps(each))
            except ValueError as error:
                log.info("a key of the JWKS is passed over: %s", error)
    if not found:
        raise ValueError("no key that tokens can be checked with")
    return tuple(found)
