"""What a returning viewer gets, at the front door, as the table "Resuming" has it."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.viewers import Viewer, post, snapshot, until

FUTURE = 999_999_999_999_999_999


def _newest(stack) -> int:
    """The version of a counter that was released at least once."""
    if not snapshot(stack.url, "counter")["version"]:
        post(stack.url, "counter", {"add": 1})
    version: int = until(lambda: snapshot(stack.url, "counter")["version"], "a first release")
    return version


def _start(stack, path: str, headers: dict[str, str], wanted: bytes) -> bytes:
    """The beginning of a stream, as long as `wanted`."""
    body = b""
    with httpx.stream("GET", stack.url + path, headers=headers, timeout=10) as answer:
        assert answer.status_code == 200
        for chunk in answer.iter_raw():
            body += chunk
            if len(body) >= len(wanted):
                return body[: len(wanted)]
    return body


@pytest.mark.parametrize("way", ["query", "header"])
@pytest.mark.parametrize(
    ("seen", "reset", "known"),
    [
        ("", None, False),
        ("newest", None, True),
        ("1", None, False),
        (str(FUTURE), "unknown id", False),
        ("banana", "unreadable id", False),
        ("1" * 19, "unreadable id", False),
        ("-1", "unreadable id", False),
    ],
    ids=["nothing", "newest", "older", "newer", "banana", "too long", "negative"],
)
def test_a_stream_resumes_as_the_contract_says(stack, way, seen, reset, known):
    version = _newest(stack)
    seen = str(version) if seen == "newest" else seen
    headers = {"Last-Event-ID": seen} if way == "header" else {}
    query = f"after={seen}" if way == "query" else ""
    for path, begins in (
        (f"/values/counter?as=sse&{query}", _event_stream(version, reset, known)),
        (f"/values/counter?as=ndjson&{query}", _lines(reset, known)),
        (f"/stream?{query}", "\n" if known else '{"data": '),
    ):
        assert _start(stack, path, headers, begins.encode()) == begins.encode()


def _event_stream(version: int, reset: str | None, known: bool) -> str:
    if known:
        return ":\n\n"
    start = f'event: reset\ndata: {{"reason":"{reset}"}}\n\n' if reset else ""
    return f'{start}id: {version}\ndata: {{"name":"counter","value":'


def _lines(reset: str | None, known: bool) -> str:
    if known:
        return "\n"
    return (f'{{"reset":{{"reason":"{reset}"}}}}\n' if reset else "") + '{"name":"counter","value":'


def test_the_header_beats_the_query(stack):
    version = _newest(stack)
    headers = {"Last-Event-ID": str(version)}
    assert _start(stack, f"/values/counter?as=sse&after={FUTURE}", headers, b":\n\n") == b":\n\n"
    assert _start(stack, f"/values/counter?as=ndjson&after={FUTURE}", headers, b"\n") == b"\n"


@pytest.mark.parametrize(
    ("after", "status"), [("newest", 204), ("1", 200), (str(FUTURE), 200), ("banana", 200)]
)
def test_a_snapshot_after_the_newest_version_has_no_content(stack, after, status):
    version = _newest(stack)
    after = str(version) if after == "newest" else after
    answer = httpx.get(f"{stack.url}/values/counter?after={after}")
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["version"] == version


def test_one_clients_last_event_id_is_not_everybodys(stack):
    version = _newest(stack)
    _purge(stack, "counter")
    first = httpx.get(f"{stack.url}/values/counter", headers={"Last-Event-ID": str(version)})
    second = httpx.get(f"{stack.url}/values/counter")
    assert [first.status_code, second.status_code] == [200, 200]


def test_who_is_not_behind_pushpin_gets_no_instructions(stack):
    _newest(stack)
    forged = {"Grip-Sig": "forged", "Grip-Last": "value:counter; last-id=1"}
    for path in ("/values/counter?as=sse", "/values/counter?as=ndjson", "/stream"):
        # Straight at the edge, where no nginx removes what a client claims.
        plain = httpx.get(stack.varnish_urls[0] + path)
        assert plain.status_code == 200
        held = httpx.get(stack.varnish_urls[0] + path, headers=forged)
        assert held.status_code == 403
        # At the front door it is removed, or replaced by Pushpin's own.
        with Viewer(stack.url, path, headers=forged) as viewer:
            viewer.wait_connected()
        for answer in (plain, held):
            leaked = [name for name in answer.headers if name.startswith(("grip-", "surrogate-"))]
            assert leaked == []


def test_head_is_never_held(stack):
    streams = ("/values/counter?as=sse", "/values/counter?as=ndjson", "/stream")
    for path in (*streams, "/values/counter", "/values/counter?wait=9", "/"):
        answer = httpx.head(stack.url + path, timeout=5)
        assert answer.status_code == 200
        assert answer.content == b""


def _purge(stack, name: str) -> None:
    answer = httpx.post(
        f"{stack.varnish_urls[0]}/service/holdfast/purge/value:{name}",
        headers={"Fastly-Key": stack.fastly_key},
    )
    assert answer.status_code == 200, answer.text
