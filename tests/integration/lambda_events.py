"""Events as AWS sends them, one function for each shape: every field that its documentation lists.

Written from the field lists of "Lambda proxy integrations" (REST APIs, payload 1.0; HTTP APIs,
payload 2.0) and "Invoking Lambda function URLs". What a caller says is the request itself.
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import parse_qsl, unquote

TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")
HOST = "abc123.execute-api.eu-west-1.amazonaws.com"
AGENT = "Varnish"
SOURCE = "192.0.2.7"


def rest(method, path, query="", headers=(), body=b"", stage="prod"):
    """A REST API's, payload 1.0; `stage` is not in its path. Its binaryMediaTypes is */*."""
    single, multi = _fold(headers, ",")
    pairs = parse_qsl(query, keep_blank_values=True)
    text, is_base64 = _body(single, body)
    return {
        "resource": "/{proxy+}",
        "path": unquote(path),
        "httpMethod": method,
        "headers": {name: values[-1] for name, values in multi.items()},
        "multiValueHeaders": multi,
        "queryStringParameters": dict(pairs) or None,
        "multiValueQueryStringParameters": _multi(pairs) or None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc123",
            "authorizer": None,
            "domainName": HOST,
            "domainPrefix": "abc123",
            "extendedRequestId": "JKJaXmPLvHcESHA=",
            "httpMethod": method,
            "identity": {"sourceIp": SOURCE, "userAgent": AGENT, "accountId": None},
            "path": f"/{stage}{path}",
            "protocol": "HTTP/1.1",
            "requestId": "e6d1d0b0-0000-4000-8000-000000000001",
            "requestTime": "25/Nov/2026:12:00:00 +0000",
            "requestTimeEpoch": 1795608000000,
            "resourceId": "123abc",
            "resourcePath": "/{proxy+}",
            "stage": stage,
        },
        "body": text,
        "isBase64Encoded": is_base64,
    }


def http(method, path, query="", headers=(), body=b"", stage="$default"):
    """An HTTP API's, payload 2.0; a named `stage` stands before its path."""
    cookies = [value for name, value in headers if name.lower() == "cookie"]
    single, _ = _fold([pair for pair in headers if pair[0].lower() != "cookie"], ",")
    single = {name.lower(): value for name, value in single.items()}
    pairs = _multi(parse_qsl(query, keep_blank_values=True))
    text, is_base64 = _body(single, body)
    raw = path if stage == "$default" else f"/{stage}{path}"
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw,
        "rawQueryString": query,
        "headers": single,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc123",
            "domainName": HOST,
            "domainPrefix": "abc123",
            "http": {
                "method": method,
                "path": raw,
                "protocol": "HTTP/1.1",
                "sourceIp": SOURCE,
                "userAgent": AGENT,
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": stage,
            "time": "25/Nov/2026:12:00:00 +0000",
            "timeEpoch": 1795608000000,
        },
        "isBase64Encoded": is_base64,
    }
    if cookies:
        event["cookies"] = [part.strip() for value in cookies for part in value.split(";")]
    if pairs:
        event["queryStringParameters"] = {name: ",".join(values) for name, values in pairs.items()}
    if body:
        event["body"] = text
    return event


def function_url(method, path, query="", headers=(), body=b""):
    """A function URL's: payload 2.0, without a stage of its own, and null where nothing is."""
    event = http(method, path, query, headers, body)
    event["requestContext"] |= {"authentication": None, "authorizer": None}
    event["requestContext"]["domainName"] = "url-id.lambda-url.eu-west-1.on.aws"
    return {"pathParameters": None, "stageVariables": None, **event}


SHAPES = (rest, http, function_url)


def _multi(pairs):
    result = {}
    for name, value in pairs:
        result.setdefault(name, []).append(value)
    return result


def _fold(headers, separator):
    multi = _multi([("Host", HOST), ("X-Forwarded-For", SOURCE), *headers])
    return {name: separator.join(values) for name, values in multi.items()}, multi


def _body(headers, body):
    kind = {name.lower(): value for name, value in headers.items()}.get("content-type", "text/")
    if not body:
        return None, False
    if kind.startswith(TEXT_TYPES):
        return body.decode(), False
    return b64encode(body).decode(), True
