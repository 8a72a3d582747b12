"""A request as a function URL or an HTTP API tells a function of it: payload 2.0."""

from __future__ import annotations

import time
import uuid
from base64 import b64encode
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.types import WSGIEnvironment

# Bodies of these types are text; any other travels as base64.
TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")


def of_request(environ: WSGIEnvironment, body: bytes) -> dict[str, Any]:
    """The event for a request that gunicorn took."""
    path, _, query = environ["RAW_URI"].partition("?")
    headers = _headers(environ)
    cookie = headers.pop("cookie", "")
    host = headers.get("host", "")
    kind = headers.get("content-type", "")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {
            **headers,
            "x-forwarded-for": _forwarded(headers, environ["REMOTE_ADDR"]),
            "x-forwarded-proto": "http",
            "x-forwarded-port": environ["SERVER_PORT"],
        },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": environ["REQUEST_METHOD"],
                "path": path,
                "protocol": environ["SERVER_PROTOCOL"],
                "sourceIp": environ["REMOTE_ADDR"],
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": formatdate(),
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }
    if cookie:
        event["cookies"] = [part.strip() for part in cookie.split(";")]
    if query:
        event["queryStringParameters"] = _joined(query)
    if body:
        event["body"], event["isBase64Encoded"] = _text(kind, body)
    return event


def _headers(environ: WSGIEnvironment) -> dict[str, str]:
    headers = {
        key.removeprefix("HTTP_").replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_") or key in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    return {name: value for name, value in headers.items() if value and name != "connection"}


def _forwarded(headers: Mapping[str, str], client: str) -> str:
    before = headers.get("x-forwarded-for")
    return f"{before}, {client}" if before else client


def _joined(query: str) -> dict[str, str]:
    result: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        result[name] = f"{result[name]},{value}" if name in result else value
    return result


def _text(kind: str, body: bytes) -> tuple[str, bool]:
    """A body, and whether it is base64."""
    if kind.startswith(TEXT_TYPES):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return b64encode(body).decode(), True
