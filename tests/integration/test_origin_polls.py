"""Long-polls and NDJSON at the origin, on a real Redis: what the edge gets to cache."""

from __future__ import annotations

import json

import pytest

from tests.integration.test_origin import BRIEF, FRESH, Site, assert_problem, signed

FUTURE = 999_999_999_999_999_999
# Kept until the next purge, but not for when the origin is away.
UNTIL_PURGED = "max-age=300"


@pytest.fixture
def site(client):
    site = Site(client)
    site.vouch()
    return site


def test_pushpin_is_told_to_hold_who_has_the_newest_version(site):
    version = site.release("counter", 1).version
    answer = site.get(f"/values/counter?after={version}&wait=25", Grip_Sig=signed())
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Grip-Hold"] == "response"
    assert answer.headers["Grip-Channel"] == f"value:counter; prev-id={version}; filter=require-sub"
    assert answer.headers["Grip-Timeout"] == "25"
    assert "Grip-Link" not in answer.headers
    assert answer.headers["Surrogate-Control"] == UNTIL_PURGED
    assert answer.headers["Surrogate-Key"] == "value:counter all"
    assert answer.headers["Holdfast-Version"] == str(version)
    # Pushpin adds these to what it sends in the end.
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Vary"] == "Accept"
    for header in ("Content-Type", "ETag"):
        assert header not in answer.headers


def test_an_unreleased_value_can_be_waited_for(site):
    answer = site.get("/values/counter?after=0&wait=120", Grip_Sig=signed())
    assert answer.headers["Grip-Channel"] == "value:counter; prev-id=0; filter=require-sub"
    assert answer.headers["Grip-Timeout"] == "120"


@pytest.mark.parametrize(("after", "keep"), [("", FRESH), ("1", FRESH), (str(FUTURE), BRIEF)])
def test_everybody_else_gets_the_snapshot(site, after, keep):
    snapshot = site.release("counter", 1)
    answer = site.get(f"/values/counter?after={after}&wait=25", Grip_Sig=signed())
    assert answer.status_code == 200
    assert answer.data == snapshot.encode()
    assert answer.headers["Surrogate-Control"] == keep
    assert "Grip-Hold" not in answer.headers


def test_without_pushpin_there_is_nothing_to_wait_for(site):
    version = site.release("counter", 1).version
    answer = site.get(f"/values/counter?after={version}&wait=25")
    assert answer.status_code == 204
    assert "Grip-Hold" not in answer.headers
    # Never kept as what Pushpin would be given.
    assert answer.headers["Surrogate-Control"] == BRIEF
    head = site.http.head(
        f"/values/counter?after={version}&wait=25", headers={"Grip-Sig": signed()}
    )
    assert "Grip-Hold" not in head.headers


def test_a_false_signature_is_refused(site):
    version = site.release("counter", 1).version
    answer = site.get(f"/values/counter?after={version}&wait=25", Grip_Sig=signed("x" * 32))
    assert_problem(answer, 403)


@pytest.mark.parametrize("wait", ["0", "121", "invalid", "1.5"])
def test_a_wait_that_is_none_is_refused_and_that_is_kept_for_a_second(site, wait):
    answer = site.get(f"/values/counter?wait={wait}", Grip_Sig=signed())
    assert_problem(answer, 400)
    assert answer.headers["Surrogate-Control"] == BRIEF


def test_a_stream_does_not_look_at_wait(site):
    assert site.get("/values/counter?as=sse&wait=0").status_code == 200
    assert site.get("/values/counter?as=ndjson&wait=0").status_code == 200


def test_ndjson_is_a_stream_with_a_channel_of_its_own(site):
    snapshot = site.release("counter", 1)
    for path, headers in (
        ("/values/counter?as=ndjson", {}),
        ("/values/counter", {"Accept": "application/x-ndjson"}),
    ):
        answer = site.get(path, Grip_Sig=signed(), **headers)
        assert answer.data == snapshot.encode() + b"\n"
        assert answer.content_type == "application/x-ndjson"
        assert answer.headers["Grip-Hold"] == "stream"
        channel = f"value:counter:ndjson; prev-id={snapshot.version}"
        assert answer.headers["Grip-Channel"] == channel
        assert answer.headers["Grip-Link"] == "</values/counter?recover&as=ndjson>; rel=next"
        assert answer.headers["Grip-Keep-Alive"] == "\\n; format=cstring; timeout=20"
        assert answer.headers["Surrogate-Control"] == FRESH
        assert "ETag" not in answer.headers


def test_ndjson_resumes_like_any_stream(site):
    snapshot = site.release("counter", 1)
    release = snapshot.encode() + b"\n"
    for after, body in (
        ("1", release),
        (str(snapshot.version), b"\n"),
        ("unknown", b'{"reset":{"reason":"unknown id"}}\n' + release),
        ("invalid", b'{"reset":{"reason":"unreadable id"}}\n' + release),
    ):
        assert site.get(f"/values/counter?as=ndjson&after={after}").data == body
        assert all(json.loads(line) for line in body.splitlines() if line)
