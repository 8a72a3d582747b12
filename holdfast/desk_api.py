"""Asks the operators' API, from anywhere."""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from holdfast.errors import HoldfastError, UnavailableError

TIMEOUT_S = 30.0


class Reply(NamedTuple):
    """body: the JSON; etag: what If-Match takes; taken: publishers act on it."""

    body: dict[str, Any]
    etag: str
    taken: bool


class RefusedError(HoldfastError):
    """The API did not do it. status: of its answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status


class DeskApi:
    """The API of one service, for one operator. url: the front door."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._client = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
        )

    def call(self, method: str, path: str, body: Any = None, *, etag: str | None = None) -> Reply:
        """Raises RefusedError, or UnavailableError when something on the way can't be reached."""
        headers = {} if etag is None else {"If-Match": etag}
        try:
            answer = self._client.request(method, path, json=body, headers=headers)
            if answer.is_success:
                taken = answer.status_code != 202
                return Reply(answer.json(), answer.headers.get("ETag", "*"), taken)
        except (httpx.HTTPError, json.JSONDecodeError) as error:
            raise UnavailableError(f"{self._url} can't be asked: {error}") from error
        try:
            detail = answer.json()["detail"]
        except (json.JSONDecodeError, KeyError, TypeError):
            detail = answer.reason_phrase
        if answer.status_code >= 500:
            raise UnavailableError(f"{answer.status_code}: {detail}")
        raise RefusedError(answer.status_code, detail)


def segment(name: str) -> str:
    """A name as one part of a path; stars and the like stay as they are."""
    return quote(name, safe="*")
