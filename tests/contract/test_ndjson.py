"""NDJSON streams at the front door, by clients that know nothing of Holdfast: httpx and curl."""

from __future__ import annotations

import json
import subprocess

import httpx

from tests.e2e.viewers import post, snapshot, until


def _newest(stack) -> dict:
    if not snapshot(stack.url, "counter")["version"]:
        post(stack.url, "counter", {"add": 1})
    return until(lambda: (now := snapshot(stack.url, "counter"))["version"] and now, "a release")


def test_httpx_reads_a_snapshot_a_line(stack):
    newest = _newest(stack)
    headers = {"Accept": "application/x-ndjson"}
    with (
        httpx.Client(timeout=30, trust_env=False) as client,
        client.stream("GET", f"{stack.url}/values/counter", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert answer.headers["vary"] == "Accept"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "etag" not in answer.headers
        snapshots = (json.loads(line) for line in answer.iter_lines() if line)
        assert next(snapshots) == newest
        for number in (1, 2):
            post(stack.url, "counter", {"add": 1})
            found = next(snapshots)
            assert found["value"] == newest["value"] + number
            assert set(found) == set(newest)


def test_curl_prints_each_release_as_a_line(stack):
    newest = _newest(stack)
    with subprocess.Popen(
        ["curl", "-sSN", "--max-time", "30", f"{stack.url}/values/counter?as=ndjson"],
        stdout=subprocess.PIPE,
        text=True,
    ) as curl:
        try:
            assert curl.stdout is not None
            lines = (json.loads(line) for line in curl.stdout if line.strip())
            assert next(lines) == newest
            post(stack.url, "counter", {"add": 1})
            assert next(lines)["value"] == newest["value"] + 1
        finally:
            curl.kill()


def test_a_value_with_line_ends_in_it_is_one_line(stack):
    text = 'one\ntwo\r\nthree\u2028\u0000 "four"'
    assert post(stack.url, "headline", {"set": text}).status_code == 202
    until(lambda: snapshot(stack.url, "headline")["value"] == text, "the headline")
    with httpx.stream("GET", f"{stack.url}/values/headline?as=ndjson", timeout=30) as answer:
        raw = b""
        for chunk in answer.iter_raw():
            raw += chunk
            if raw.endswith(b"\n"):
                break
    assert raw.count(b"\n") == 1
    assert json.loads(raw)["value"] == text
