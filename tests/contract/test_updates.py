"""Bad updates: what docs/contract.md says of each, tried at the front door."""

from __future__ import annotations

import httpx
import pytest

from holdfast.updates import INT64_MAX, MAX_BODY_BYTES, MAX_VALUE_BYTES
from stack.layout import REPO
from tests.contract.markdown import code, rows, section

TABLE = rows(section(REPO / "docs" / "contract.md", "Bad updates"))
JSON = "application/json"


def _set(size: int) -> bytes:
    """A body whose value has `size` bytes of JSON."""
    return b'{"set":"' + b"a" * (size - 2) + b'"}'


# Rows that the table describes in words, by their remark.
DESCRIBED = {
    "*(empty)*": b"",
    "nested 5,000 deep": b'{"set":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "a value of 16,385 bytes": _set(MAX_VALUE_BYTES + 1),
    "a body of 32,769 bytes": _set(MAX_BODY_BYTES + 1 - len(b'{"set":}')),
    "a body of 1,000,000 bytes": _set(1_000_000 - len(b'{"set":}')),
}
CONTENT_TYPE = {"as text/plain": "text/plain", "without a content type": None}


def _request(cell: str) -> tuple[bytes, str | None]:
    body = next((body for words, body in DESCRIBED.items() if words in cell), None)
    kind = next((kind for words, kind in CONTENT_TYPE.items() if words in cell), JSON)
    return code(cell)[0].encode() if body is None else body, kind


def test_the_table_is_there():
    assert len(TABLE) > 25


@pytest.mark.parametrize(("value", "body", "status"), TABLE, ids=[" ".join(row) for row in TABLE])
def test_a_bad_update_is_refused_as_the_contract_says(stack, value, body, status):
    content, kind = _request(body)
    headers = {} if kind is None else {"Content-Type": kind}
    answer = httpx.post(
        f"{stack.url}/values/{code(value)[0]}", content=content, headers=headers, timeout=15
    )
    assert answer.status_code == int(status), answer.text
    _assert_problem(answer)


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("visits", b'{"add":%d}' % INT64_MAX),
        ("visits", b'{"add":%d}' % -INT64_MAX),
        ("visits", b' {"add" : -0} '),
        ("headline", _set(MAX_VALUE_BYTES)),
        ("headline", b'{"set":null}'),
    ],
)
def test_an_update_at_the_limit_is_taken(stack, value, content):
    answer = httpx.post(
        f"{stack.url}/values/{value}",
        content=content,
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    assert answer.status_code == 202, answer.text
    assert answer.json()["name"] == value


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/values/nobody", 404),
        ("GET", "/values/nobody/history", 404),
        ("GET", "/values/price.NONE", 404),
        ("GET", "/values/" + "a" * 65, 404),
        ("GET", "/values/counter?as=xml", 400),
        ("GET", "/values/counter?as=", 400),
        ("GET", "/nowhere", 404),
        ("GET", "/health/ready", 404),
        ("GET", "/metrics", 404),
        ("POST", "/service/holdfast/purge_all", 404),
        ("POST", "/", 405),
        ("POST", "/stream", 405),
        ("DELETE", "/values/counter", 405),
        ("PURGE", "/values/counter", 405),
        ("GET", "/values/a%00b", 400),
        ("GET", "/values/" + "a" * 3_000, 414),
        ("GET", "/values/" + "a" * 20_000, 414),
    ],
    ids=lambda part: str(part)[:40],
)
def test_a_request_that_makes_no_sense_gets_a_problem(stack, method, path, status):
    answer = httpx.request(method, stack.url + path, timeout=15)
    assert answer.status_code == status, answer.text
    _assert_problem(answer)


def test_a_path_can_not_climb_out_of_values(stack):
    answer = httpx.get(f"{stack.url}/values/%2e%2e/%2e%2e/etc/passwd")
    assert answer.status_code in (400, 404)
    _assert_problem(answer)


def _assert_problem(answer: httpx.Response) -> None:
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail"}
    assert problem["status"] == answer.status_code
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
