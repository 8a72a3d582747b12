"""One key, one count: whatever is repeated, replayed, lost or restarted in between."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.viewers import snapshot, until


def _post(stack, name: str, key: str, add: int = 1) -> int:
    return httpx.post(
        f"{stack.url}/values/{name}",
        json={"add": add},
        headers={"Idempotency-Key": key},
        timeout=15,
    ).status_code


def test_a_hundred_attempts_at_once_count_once(stack):
    start = snapshot(stack.url, "visits")["value"]
    key = str(uuid.uuid4())
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: _post(stack, "visits", key), range(100)))
    assert statuses == [202] * 100
    assert _post(stack, "visits", str(uuid.uuid4()), 1000) == 202  # behind all of them
    until(lambda: snapshot(stack.url, "visits")["value"] >= start + 1000, "the last one")
    assert snapshot(stack.url, "visits")["value"] == start + 1001


def test_values_don_t_share_their_keys(stack):
    key = str(uuid.uuid4())
    start = {name: snapshot(stack.url, name)["value"] for name in ("visits", "counter")}
    for name in start:
        assert _post(stack, name, key) == 202
    for name, value in start.items():
        until(lambda n=name, v=value: snapshot(stack.url, n)["value"] == v + 1, name)


@pytest.mark.parametrize("what", ["redis wiped", "publisher killed", "origin restarted"])
def test_a_retry_after_a_loss_does_not_count(stack, redis_client, what):
    start = snapshot(stack.url, "visits")["value"]
    keys = [str(uuid.uuid4()) for _ in range(20)]
    assert {_post(stack, "visits", key) for key in keys} == {202}
    until(lambda: snapshot(stack.url, "visits")["value"] == start + 20, "the first attempts")
    if what == "redis wiped":
        redis_client.flushall()
    elif what == "publisher killed":
        stack.restart("publisher-1")
    else:
        stack.restart("origin-1")
    for key in keys:
        until(lambda key=key: _post(stack, "visits", key) == 202, "the second attempt")
    until(lambda: _post(stack, "visits", str(uuid.uuid4()), 1000) == 202, "one behind all of them")
    until(lambda: snapshot(stack.url, "visits")["value"] >= start + 1000, "the last one", 30)
    assert snapshot(stack.url, "visits")["value"] == start + 1020


@pytest.mark.parametrize("key", ["", "a,b", "a b", "x" * 256, '"'])
def test_what_is_no_key_is_refused(stack, key):
    answer = httpx.post(
        f"{stack.url}/values/visits", json={"add": 1}, headers={"Idempotency-Key": key}
    )
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["detail"]


def test_two_keys_in_one_request_are_refused(stack):
    answer = httpx.post(
        f"{stack.url}/values/visits",
        json={"add": 1},
        headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")],
    )
    assert answer.status_code == 400
