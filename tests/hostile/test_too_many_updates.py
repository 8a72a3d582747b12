"""One address can't post without end, nor open streams, and can't pretend to be another."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
import redis

from stack.stack import Stack
from stack.temporary import temporary_stack
from tests.conftest import VALUES
from tests.e2e.viewers import Viewer, snapshot, until

RATE = 5
HOLDS = 20
MANY = 30
DISGUISES: dict[str, dict[str, str]] = {
    "none": {},
    "X-Forwarded-For": {"X-Forwarded-For": "10.0.0.{}"},
    "X-Real-IP": {"X-Real-IP": "10.0.0.{}", "True-Client-IP": "10.0.0.{}"},
    "Forwarded": {"Forwarded": "for=10.0.0.{}"},
    "Fastly-Client-IP": {"Fastly-Client-IP": "10.0.0.{}"},
    "Host": {"Host": "host{}.example"},
    "User-Agent": {"User-Agent": "agent {}"},
    "Idempotency-Key": {"Idempotency-Key": "key-{}"},
}
PATHS = ("/values/counter", "/values/counter?{}", "/values/visits", "/values/./counter")


@pytest.fixture(scope="module")
def strict() -> Iterator[Stack]:
    """A front door that takes 5 updates and 20 new holds a second from one address, twice as many
    at once.
    """
    with temporary_stack(VALUES, post_rate=RATE, hold_rate=HOLDS) as stack:
        yield stack


@pytest.mark.parametrize(
    ("path", "disguise"),
    [*((PATHS[0], name) for name in DISGUISES), *((path, "none") for path in PATHS[1:])],
)
def test_a_limit_holds_whatever_the_client_says_it_is(strict, path, disguise):
    started = time.monotonic()
    taken = refused = 0
    for number in range(MANY):
        headers = {name: text.format(number) for name, text in DISGUISES[disguise].items()}
        # A connection of its own for each.
        answer = httpx.post(
            strict.url + path.format(number), json={"add": 1}, headers=headers, trust_env=False
        )
        if answer.status_code == 429:
            refused += 1
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.headers["Retry-After"] == "1"
            assert answer.json()["status"] == 429
        else:
            assert answer.status_code == 202
            taken += 1
    assert refused
    assert taken <= 1 + 2 * RATE + RATE * (time.monotonic() - started)


def test_reading_goes_on_meanwhile_and_what_was_taken_counts(strict):
    with redis.Redis.from_url(strict.redis_url) as client:
        until(lambda: not client.keys("dirty:*"), "nothing is left to release")
    before = snapshot(strict.url, "counter")["value"]
    taken = 0
    with Viewer(strict.url, "/values/counter?as=sse") as viewer:
        viewer.wait_connected()
        for _ in range(MANY):
            answer = httpx.post(f"{strict.url}/values/counter", json={"add": 1}, trust_env=False)
            taken += answer.status_code == 202
            assert httpx.get(f"{strict.url}/values/counter", trust_env=False).status_code == 200
        until(lambda: viewer.values[-1] == before + taken, "all that was taken", 10)
        assert taken < MANY


# HEAD is never held, and goes the same way.
@pytest.mark.parametrize(
    "path",
    [
        "/values/counter?as=sse",
        "/values/counter?as=ndjson",
        "/values/counter?wait=20",
        "/stream",
        "/events/test/",
    ],
)
def test_new_holds_are_limited_and_snapshots_are_not(strict, path):
    taken = refused = 0
    started = time.monotonic()
    with httpx.Client(base_url=strict.url, trust_env=False, timeout=30) as client:
        until(lambda: client.head(path).status_code != 429, "room for one")
        for number in range(6 * HOLDS):
            answer = client.head(path, headers={"X-Forwarded-For": f"10.0.0.{number}"})
            if answer.status_code == 429:
                refused += 1
                assert answer.headers["Retry-After"] == "1"
            else:
                taken += 1
        assert refused
        assert taken <= 1 + 2 * HOLDS + HOLDS * (time.monotonic() - started)
        assert client.get("/values/counter").status_code == 200
