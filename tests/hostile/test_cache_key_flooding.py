"""A stranger can't make the origin work by asking for the same thing in a thousand ways."""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
import redis

from tests.e2e.metrics import metric
from tests.e2e.pollers import polls_accepted
from tests.e2e.viewers import post, snapshot, until
from tests.hostile.raw import connect

N = 60
RANDOM = random.Random(7)


def _word(alphabet: str = string.ascii_letters + string.digits, size: int = 12) -> str:
    return "".join(RANDOM.choices(alphabet, k=size))


def _origin_gets(stack) -> float:
    """All GETs that the origin answered, whatever for; the edge's probes aside."""
    probes = {"/health/ready", "/health/live", "/metrics"}
    return metric(
        stack.origin_urls,
        "holdfast_origin_requests_total",
        lambda labels: labels["method"] == "GET" and labels["route"] not in probes,
    )


@pytest.fixture(autouse=True)
def quiet(stack):
    """Nothing is released meanwhile: a release would make misses of its own."""
    if not snapshot(stack.url, "counter")["version"]:
        post(stack.url, "counter", {"add": 1})
    until(lambda: snapshot(stack.url, "counter")["version"], "a first release")
    with redis.Redis.from_url(stack.redis_url) as client:
        until(lambda: not client.keys("dirty:*"), "nothing is left to release")
    released = metric(stack.publisher_urls, "holdfast_releases_total")
    yield
    assert metric(stack.publisher_urls, "holdfast_releases_total") == released


_CLIENT = httpx.Client(timeout=15, trust_env=False)


def _ask(stack, path: str, headers: dict[str, str]) -> None:
    answer = _CLIENT.get(stack.url + path, headers=headers)
    assert answer.status_code < 500


def _hold(stack, path: str, headers: dict[str, str]) -> None:
    """Connect, read the beginning, and leave."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "a", **headers}.items())
    with connect(stack.url) as peer:
        peer.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        assert peer.recv(15).startswith(b"HTTP/1.1 200")


def _flood(stack, ask: Callable[..., None], variants: list[tuple[str, dict[str, str]]]) -> float:
    """The origin's requests for N junk questions; the plain answers are in the cache already."""
    before = _origin_gets(stack)
    for path, headers in variants:
        ask(stack, path, headers)
    return _origin_gets(stack) - before


JUNK: dict[str, Callable[[], tuple[str, dict[str, str]]]] = {
    "unknown parameters": lambda: (f"?{_word()}={_word()}&{_word()}", {}),
    "parameters in another case": lambda: (f"?AFTER={_word()}&After={_word()}", {}),
    "ids that are none": lambda: (f"?after={_word(string.ascii_letters)}", {}),
    "ids that are too long": lambda: (f"?after={_word(string.digits, 19)}", {}),
    "ids with a sign": lambda: (f"?after=-{_word(string.digits)}", {}),
    "recovery": lambda: (f"?recover={_word()}", {}),
    "tips": lambda: (f"?tip={_word(string.digits)}", {}),
    "cookies": lambda: ("", {"Cookie": f"session={_word()}"}),
    "passwords": lambda: ("", {"Authorization": f"Bearer {_word()}"}),
    "hosts": lambda: ("", {"Host": f"{_word()}.example"}),
    "validators": lambda: (
        "",
        {"If-None-Match": f'"{_word()}"', "If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"},
    ),
    "ranges": lambda: ("", {"Range": f"bytes={RANDOM.randrange(50)}-{_word(string.digits, 4)}"}),
    "no cache, please": lambda: ("", {"Cache-Control": "no-cache, no-store", "Pragma": "no-cache"}),
    "languages": lambda: ("", {"Accept-Language": _word(), "User-Agent": _word()}),
    "encodings": lambda: ("", {"Accept-Encoding": f"gzip, {_word()}"}),
    "forwarded for": lambda: ("", {"X-Forwarded-For": "1.2.3.4", "X-Original-URL": f"/{_word()}"}),
    "fragments of headers": lambda: ("", {f"X-{_word()}": _word()}),
}
# For a snapshot or a stream. Each keeps its kind: what is asked for doesn't change.
SNAPSHOTS = {
    "kinds of JSON": lambda: ("", {"Accept": f"application/{_word()};q=0.{RANDOM.randrange(9)}"}),
    # Pushpin would write it plainly: a digit needs no escape.
    "ids that are escaped": lambda: (f"?after=%31{_word(string.digits)}", {}),
    "ids in a header": lambda: ("", {"Last-Event-ID": _word(string.digits)}),
}
STREAMS = {
    "ids in a header that are none": lambda: ("", {"Last-Event-ID": f"x{_word()}"}),
}
# A cached answer per representation, and what stands for all that is unreadable.
FEW = 4


@pytest.mark.parametrize("junk", [*JUNK, *SNAPSHOTS])
def test_junk_around_a_snapshot_asks_the_origin_next_to_nothing(stack, junk):
    make = {**JUNK, **SNAPSHOTS}[junk]
    variants = [
        (f"/values/counter{query}", headers) for query, headers in (make() for _ in range(N))
    ]
    assert _flood(stack, _ask, variants) <= FEW


@pytest.mark.parametrize("path", ["/", "/values/counter/history", "/static/page.js"])
@pytest.mark.parametrize("junk", JUNK)
def test_junk_around_a_file_asks_the_origin_next_to_nothing(stack, path, junk):
    variants = [(path + query, headers) for query, headers in (JUNK[junk]() for _ in range(N // 3))]
    assert _flood(stack, _ask, variants) <= FEW


@pytest.mark.parametrize(
    "path", ["/values/counter?as=sse&", "/values/counter?as=ndjson&", "/stream?"]
)
@pytest.mark.parametrize("junk", [*JUNK, *STREAMS])
def test_junk_around_a_stream_asks_the_origin_next_to_nothing(stack, path, junk):
    made = [{**JUNK, **STREAMS}[junk]() for _ in range(N // 3)]
    variants = [(path + query.lstrip("?"), headers) for query, headers in made]
    assert _flood(stack, _hold, variants) <= FEW


def test_a_new_name_is_how_an_origin_request_would_show(stack):
    """Or the tests above would show nothing."""
    variants = [(f"/values/{_word()}", {}) for _ in range(10)]
    assert _flood(stack, _ask, variants) == 10


EACH = {
    "an id that may be one": lambda: f"/values/counter?after={RANDOM.randrange(1, 10**17)}",
    "as, twice": lambda: f"/values/counter?as={_word(string.ascii_lowercase)}&as=json",
    "wait": lambda: f"/values/counter?wait={RANDOM.randrange(1000)}",
    "a wait that is none": lambda: f"/values/counter?after=1&wait={_word()}",
    "wait, twice": lambda: f"/values/counter?wait={_word(string.digits)}&wait=1",
    # gunicorn would take the first slash away, and read an escape as what it stands for.
    "two slashes": lambda: f"//values/counter?{_word()}",
    "an escaped name": lambda: (
        "/values/" + "".join(RANDOM.choice((c, f"%{ord(c):x}", f"%{ord(c):X}")) for c in "counter")
    ),
}


@pytest.mark.parametrize("way", EACH)
def test_no_parameter_makes_a_cache_key_for_each_of_its_values(stack, way):
    assert _flood(stack, _ask, [(EACH[way](), {}) for _ in range(N)]) <= FEW


@pytest.mark.parametrize(
    "path", ["/values/counter?as=sse&after=", "/values/counter?as=ndjson&after=", "/stream?after="]
)
def test_no_id_of_a_returning_viewer_makes_a_cache_key_of_its_own(stack, path):
    variants = [(f"{path}{RANDOM.randrange(1, 10**17)}", {}) for _ in range(N // 2)]
    assert _flood(stack, _hold, variants) <= FEW


def test_a_thousand_polls_with_any_id_ask_the_origin_once_a_second_at_most(stack):
    """Ids newer than the copy are asked for, all as one: the edge may have missed a purge."""
    newest = snapshot(stack.url, "counter")["version"]
    ids = (RANDOM.choice(((1, newest), (newest, 10**17))) for _ in range(1_000))
    queries = [f"?after={RANDOM.randrange(*id)}&wait={RANDOM.randrange(1, 121)}" for id in ids]
    before, began = _origin_gets(stack), time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        for done in [pool.submit(_ask, stack, f"/values/counter{each}", {}) for each in queries]:
            done.result()
    assert _origin_gets(stack) - before <= FEW + (time.monotonic() - began)


def test_polls_that_wait_ask_the_origin_once_however_long_they_wait(stack):
    newest = snapshot(stack.url, "counter")["version"]
    before, accepted = _origin_gets(stack), polls_accepted(stack)
    with ExitStack() as peers:
        for wait_s in range(6, 121):
            peer = peers.enter_context(connect(stack.url))
            query = f"wait={wait_s}&after={newest}&{_word()}"
            peer.sendall(f"GET /values/counter?{query} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        until(lambda: polls_accepted(stack) - accepted >= 115, "all polls held")
        assert _origin_gets(stack) - before <= FEW


def test_nor_do_preferences_make_cache_keys(stack):
    newest = snapshot(stack.url, "counter")["version"]
    variants = [
        (f"/values/counter?after={newest}", {"Prefer": f"{_word()}={_word()}, handling={_word()}"})
        for _ in range(N)
    ]
    assert _flood(stack, _ask, variants) <= FEW
