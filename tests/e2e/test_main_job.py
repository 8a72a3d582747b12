"""The main job on the whole chain: post anywhere, and everybody who watches sees it."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.metrics import metric
from tests.e2e.viewers import Viewer, answers, post, snapshot, until

POSTS = 500
SUMS = ("counter", "visits", "sum.a", "sum.b")
PROMISE_2_S = 1 + 5  # 1/rate + 5 s


def test_five_hundred_posts_over_four_values_reach_twenty_viewers_exactly(stack):
    for name in SUMS[2:]:  # a family's name exists from its first update on
        assert post(stack.url, name, {"add": 1}).status_code == 202
        until(lambda name=name: answers(f"{stack.url}/values/{name}"), name)
    until(lambda: _settled(stack, SUMS), "values settled before the run")
    start_value = {name: snapshot(stack.url, name)["value"] for name in SUMS}

    viewers = [Viewer(stack.url, f"/values/{SUMS[n % 4]}?as=sse").start() for n in range(20)]
    try:
        for viewer in viewers:
            viewer.wait_connected()
        gets_before = _origin_gets(stack)
        versions_before = {name: snapshot(stack.url, name)["version"] for name in SUMS}
        started = time.monotonic()
        with ThreadPoolExecutor(50) as pool:
            statuses = list(
                pool.map(
                    lambda n: post(stack.url, SUMS[n % 4], {"add": 1}).status_code, range(POSTS)
                )
            )
        last_post = time.monotonic()
        assert statuses == [202] * POSTS

        expected = {name: start_value[name] + POSTS // 4 for name in SUMS}
        for viewer in viewers:
            name = viewer.path.split("/")[2].split("?")[0]
            until(
                lambda v=viewer, n=name: v.values[-1] == expected[n],
                f"the final value of {name}",
                PROMISE_2_S,
            )
        assert time.monotonic() - last_post <= PROMISE_2_S
        for name in SUMS:
            assert snapshot(stack.url, name)["value"] == expected[name]
        for viewer in viewers:
            viewer.assert_increasing()
            assert viewer.resets == 0
            assert viewer.failures == []

        elapsed = time.monotonic() - started
        releases = {name: _releases_since(stack, name, versions_before[name]) for name in SUMS}
        for name, count in releases.items():
            assert 1 <= count <= 1.0 * elapsed + 1, (name, count, elapsed)
        gets = _origin_gets(stack) - gets_before
        total = sum(releases.values())
        print(f"origin GETs {gets:.0f}, releases {total}, per release {gets / total:.2f}")
        assert gets <= 3 * total * len(stack.varnish_urls) + 10
    finally:
        for viewer in viewers:
            viewer.close()


def test_stream_prints_the_current_value_at_once_and_a_line_per_release(stack):
    for base in (stack.url, stack.pushpin_url):
        current = snapshot(stack.url, "counter")["value"]
        with Viewer(base, "/stream") as viewer:
            viewer.wait_connected()
            assert viewer.content_type.startswith("text/plain")
            assert json.loads(viewer.lines[0])["data"] >= current
            assert viewer.lines[0].startswith('{"data": ')
            value = json.loads(viewer.lines[-1])["data"]
            assert post(stack.url, "counter", {"add": 1}).status_code == 202
            until(
                lambda v=viewer, wanted=value + 1: json.loads(v.lines[-1])["data"] == wanted,
                "the line of the release",
            )


def test_a_headline_reaches_its_viewers_with_any_text(stack):
    text = 'line one\r\nline two\rdata: no field\u2028\u0000 \U0001f600 "quoted"'
    with Viewer(stack.url, "/values/headline?as=sse") as viewer:
        viewer.wait_connected()
        assert post(stack.url, "headline", {"set": text}).status_code == 202
        until(lambda: viewer.values[-1] == text, "the headline")
        viewer.assert_increasing()
    assert snapshot(stack.url, "headline")["value"] == text


def test_a_foreign_topic_updates_a_family_by_its_field(stack):
    stack.produce("ticks", json.dumps({"price": 10.0, "volume": 3}), key="BTC")
    until(
        lambda: answers(f"{stack.url}/values/price.BTC"),
        "price.BTC after its first tick",
    )
    with Viewer(stack.url, "/values/price.BTC?as=sse") as viewer:
        viewer.wait_connected()
        stack.produce("ticks", json.dumps({"price": 25.5}), key="BTC")
        until(lambda: viewer.values[-1] == 25.5, "a tick beyond the threshold")


def test_history_holds_the_releases_in_order(stack):
    post(stack.url, "counter", {"add": 1})
    newest = until(
        lambda: (
            (history := httpx.get(f"{stack.url}/values/counter/history").json())["releases"]
            and history["releases"][-1]["value"] == snapshot(stack.url, "counter")["value"]
            and history
        ),
        "the newest release in the history",
    )
    versions = [release["version"] for release in newest["releases"]]
    assert versions == sorted(set(versions))
    assert len(versions) <= 60


@pytest.mark.parametrize("after", ["1", "999999999999999999", "banana", "-1", "1.5"])
def test_any_id_of_a_returning_viewer_is_answered_and_then_live(stack, after):
    newest = snapshot(stack.url, "counter")["version"]
    with Viewer(stack.url, f"/values/counter?as=sse&after={after}") as viewer:
        viewer.wait_connected()
        until(lambda: viewer.versions, "the snapshot")
        assert viewer.resets == (0 if after == "1" else 1)
        assert viewer.versions[0] >= newest
        post(stack.url, "counter", {"add": 1})
        until(lambda: len(viewer.versions) > 1, "the next release")
        viewer.assert_increasing()


def _origin_gets(stack) -> float:
    return metric(
        stack.origin_urls, "holdfast_origin_requests_total", method="GET", route="/values/<name>"
    )


def _releases_since(stack, name: str, version: int) -> int:
    history = httpx.get(f"{stack.url}/values/{name}/history").json()["releases"]
    return Counter(release["version"] > version for release in history)[True]


def _settled(stack, names) -> bool:
    first = [snapshot(stack.url, name)["version"] for name in names]
    time.sleep(1.2)  # longer than a token takes: whatever was due has been released
    return first == [snapshot(stack.url, name)["version"] for name in names]
