"""Long-polls at the front door, by clients that know nothing of Holdfast: httpx and curl."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.viewers import post, snapshot, until

_CLIENT = httpx.Client(timeout=60, trust_env=False)
FUTURE = 999_999_999_999_999_999


def _newest(stack) -> dict:
    """The counter's newest release, of at least one."""
    if not snapshot(stack.url, "counter")["version"]:
        post(stack.url, "counter", {"add": 1})
    return until(lambda: (now := snapshot(stack.url, "counter"))["version"] and now, "a release")


def _ask(stack, query: str, **headers: str) -> httpx.Response:
    return _CLIENT.get(f"{stack.url}/values/counter?{query}", headers=headers)


def _timed(stack, query: str, **headers: str) -> tuple[httpx.Response, float]:
    began = time.monotonic()
    answer = _ask(stack, query, **headers)
    return answer, time.monotonic() - began


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(12) as pool:
        yield pool


def test_who_has_the_newest_version_gets_the_next_one(stack, pool):
    newest = _newest(stack)
    seen = newest["version"]
    asked = [
        pool.submit(_ask, stack, f"after={seen}&wait=30"),
        pool.submit(_ask, stack, f"after={seen}", Prefer="respond-async, wait=30"),
        pool.submit(_ask, stack, f"wait=120&after={seen}&as=json"),
        pool.submit(_ask, stack, f"after={seen}&wait=30", **{"If-None-Match": f'"{seen}-json"'}),
    ]
    post(stack.url, "counter", {"add": 1})
    for each in asked:
        answer = each.result(40)
        assert answer.status_code == 200
        assert answer.json()["value"] == newest["value"] + 1
        assert answer.json()["prev"] == seen
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["vary"] == "Accept"
        assert answer.headers["etag"] == f'"{answer.json()["version"]}-json"'
        _assert_nothing_leaks(answer)


def _assert_nothing_leaks(answer: httpx.Response) -> None:
    inner = ("grip-", "surrogate-", "holdfast-")
    assert [name for name in answer.headers if name.startswith(inner)] == []


def _is_dirty(stack, name: str) -> bool:
    """Whether something of it is still to be released or announced."""
    (found,) = stack.desk.call("GET", f"values?prefix={name}").body["values"]
    return found["dirty"]


def test_otherwise_there_is_no_content_when_the_time_is_over(stack, pool):
    """Long and short waits, of which Pushpin knows nothing; confirms in between end none."""
    before = snapshot(stack.url, "visits")
    assert post(stack.url, "visits", {"add": 1}).status_code == 202
    until(lambda: snapshot(stack.url, "visits")["version"] > before["version"], "a release")
    until(lambda: not _is_dirty(stack, "visits"), "nothing is on its way")
    value = snapshot(stack.url, "visits")

    def wait(wait_s: int, way: str) -> tuple[httpx.Response, float]:
        url = f"{stack.url}/values/visits?after={value['version']}"
        began = time.monotonic()
        if way == "query":
            answer = _CLIENT.get(f"{url}&wait={wait_s}")
        else:
            answer = _CLIENT.get(url, headers={"Prefer": f"wait={wait_s}"})
        return answer, time.monotonic() - began

    asked = {
        (wait_s, way): pool.submit(wait, wait_s, way)
        for wait_s in (1, 2, 5, 7)
        for way in ("query", "header")
    }
    for (wait_s, way), each in asked.items():
        answer, took_s = each.result(60)
        assert answer.status_code == 204, (wait_s, way)
        assert answer.content == b""
        # How much later it may come depends on the machine.
        assert took_s > wait_s - 0.5, (wait_s, way)
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "content-type" not in answer.headers
        assert "content-length" not in answer.headers
        _assert_nothing_leaks(answer)


@pytest.mark.parametrize("after", ["", "1", "0", str(FUTURE), "banana", "-1", "1" * 19])
def test_whoever_has_not_seen_the_newest_gets_it_at_once(stack, after):
    newest = _newest(stack)
    for answer in (
        _ask(stack, f"after={after}&wait=120"),
        _ask(stack, f"after={after}", Prefer="wait=120"),
    ):
        assert answer.status_code == 200
        assert answer.json() == newest


@pytest.mark.parametrize("wait", ["0", "121", "-1", "abc", "1e3", "1.5", "07", "%2B5", "9" * 30])
def test_a_wait_that_is_none_is_refused(stack, wait):
    for after in (1, _newest(stack)["version"]):
        answer = _ask(stack, f"after={after}&wait={wait}")
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert "1 to 120" in answer.json()["detail"]


@pytest.mark.parametrize(
    "preferred", ["wait=0", "wait=abc", "wait", "foo; wait=9", "return=minimal"]
)
def test_a_preference_that_cannot_be_honoured_is_ignored(stack, preferred):
    """RFC 7240, 2."""
    answer = _ask(stack, f"after={_newest(stack)['version']}", Prefer=preferred)
    assert answer.status_code == 204


def test_an_empty_wait_is_none(stack):
    assert _ask(stack, f"after={_newest(stack)['version']}&wait=").status_code == 204


def test_head_and_streams_do_not_wait(stack):
    query = f"after={_newest(stack)['version']}&wait=60"
    answer = _CLIENT.head(f"{stack.url}/values/counter?{query}")
    assert (answer.status_code, answer.content) == (204, b"")
    with _CLIENT.stream("GET", f"{stack.url}/values/counter?as=sse&{query}") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert next(stream.iter_lines()) == ":"


def test_only_pushpin_is_told_how_to_hold(stack):
    newest = _newest(stack)
    query = f"/values/counter?after={newest['version']}&wait=60"
    plain = _CLIENT.get(stack.varnish_urls[0] + query)
    assert plain.status_code == 204
    _assert_nothing_leaks(plain)
    # A release that nobody has polled for yet: the origin is asked, and looks.
    post(stack.url, "counter", {"add": 1})
    newer = until(lambda: (now := snapshot(stack.url, "counter")) != newest and now, "a release")
    forged = _CLIENT.get(
        f"{stack.varnish_urls[0]}/values/counter?after={newer['version']}&wait=60",
        headers={"Grip-Sig": "forged"},
    )
    assert forged.status_code == 403
    _assert_nothing_leaks(forged)


def _curl(*words: str) -> str:
    done = subprocess.run(
        ["curl", "-sS", "--fail-with-body", *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_curl_polls_from_release_to_release(stack, pool):
    url = f"{stack.url}/values/counter"
    _newest(stack)
    seen = json.loads(_curl(url))
    for _ in range(3):
        polled = pool.submit(_curl, f"{url}?after={seen['version']}&wait=60")
        _curl(url, "-H", "Content-Type: application/json", "-d", '{"add": 1}')
        found = json.loads(polled.result(70))
        assert found["value"] == seen["value"] + 1
        assert found["version"] > seen["version"]
        seen = found
    status = _curl("-o", "/dev/null", "-w", "%{http_code}", f"{url}?after={seen['version']}&wait=1")
    assert status == "204"
