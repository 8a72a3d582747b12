"""The whole chain with the origin as a function: what users get, and what it costs."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import httpx
import psutil
import pytest

from tests.e2e import test_main_job as main_job
from tests.e2e.metrics import metric
from tests.e2e.test_origin_down import _fresh_value as fresh_value
from tests.e2e.viewers import Viewer, answers, post, snapshot, until

FUNCTIONS = ("function-1", "function-2")


def invocations(stack, **labels) -> float:
    return metric([stack.bridge_metrics_url], "holdfast_invocations_total", **labels)


def reads(stack) -> float:
    return invocations(stack, kind="read")


@pytest.fixture
def function_back(serverless) -> Iterator[None]:
    """Whatever the test does to the function, the next test finds it answering."""
    yield
    for function in FUNCTIONS:
        serverless.start_part(function)
    until(
        lambda: answers(f"{serverless.origin_urls[0]}/values/counter"), "the function's return", 40
    )


def test_the_page_and_its_files_come_from_the_function(serverless):
    page = httpx.get(f"{serverless.url}/")
    assert page.status_code == 200
    assert "counter" in page.text
    for path in ("/static/page.js", "/static/favicon.svg", "/events/"):
        assert httpx.get(f"{serverless.url}{path}").status_code == 200


def test_five_hundred_posts_reach_twenty_viewers_exactly(serverless, monkeypatch):
    """The main job's own test; requests of the origin are invocations here."""
    monkeypatch.setattr(main_job, "_origin_gets", reads)
    writes = invocations(serverless, kind="write", outcome="ok")
    main_job.test_five_hundred_posts_over_four_values_reach_twenty_viewers_exactly(serverless)
    assert invocations(serverless, kind="write", outcome="ok") - writes == main_job.POSTS + 2
    assert invocations(serverless) == invocations(serverless, outcome="ok")


def test_viewers_cost_no_invocations_beyond_one_per_release_and_representation(serverless):
    value = fresh_value(serverless)
    viewers = [Viewer(serverless.url, "/values/counter?as=sse").start() for _ in range(40)]
    try:
        for viewer in viewers:
            viewer.wait_connected()
        before = reads(serverless)
        for expected in range(value + 1, value + 4):
            assert post(serverless.url, "counter", {"add": 1}).status_code == 202
            for viewer in viewers:
                until(lambda v=viewer, wanted=expected: v.values[-1] == wanted, "the release")
            # Newcomers, of both representations, after the purge.
            for _ in range(5):
                with Viewer(serverless.url, "/values/counter?as=sse") as newcomer:
                    newcomer.wait_connected()
                    assert newcomer.values == [expected]
                assert snapshot(serverless.url, "counter")["value"] == expected
        # Event stream, snapshot, and what one who missed an item recovers from: that is rare, but
        # a busy machine knows it.
        assert reads(serverless) - before <= 3 * 3
    finally:
        for viewer in viewers:
            viewer.close()


def test_a_function_that_fails_costs_no_viewer_his_stream_or_the_last_value(
    serverless, function_back
):
    value = fresh_value(serverless)
    with Viewer(serverless.url, "/values/counter?as=sse") as viewer:
        viewer.wait_connected()
        for function in FUNCTIONS:
            serverless.stop_part(function)
        assert_served(serverless, value)
        refused = post(serverless.url, "counter", {"add": 1})
        assert refused.status_code == 502
        serverless.produce("updates", '{"add":1}', key="counter")
        until(lambda: viewer.values[-1] == value + 1, "the release")
        # Purged by it, and nobody can be asked: the value before, and then what comes.
        assert snapshot(serverless.url, "counter")["value"] == value
        with Viewer(serverless.url, "/values/counter?as=sse") as newcomer:
            newcomer.wait_connected()
            assert newcomer.values == [value]
            for function in FUNCTIONS:
                serverless.start_part(function)
            until(lambda: newcomer.values[-1] == value + 1, "the missed release")
            assert post(serverless.url, "counter", {"add": 1}).status_code == 202
            for each in (viewer, newcomer):
                until(lambda v=each: v.values[-1] == value + 2, "the next release")
                each.assert_increasing()
                assert each.failures == []


def test_one_that_takes_too_long_or_is_throttled_does_not_either(serverless, function_back):
    value = fresh_value(serverless)
    before = {
        outcome: invocations(serverless, outcome=outcome) for outcome in ("timeout", "throttled")
    }
    with Viewer(serverless.url, "/values/counter?as=sse") as viewer:
        viewer.wait_connected()
        for runtime in started_runtimes(serverless):
            runtime.send_signal(signal.SIGSTOP)  # the emulator ends it when its time is over
        serverless.produce("updates", '{"add":1}', key="counter")
        until(lambda: viewer.values[-1] == value + 1, "the release")
        # Three representations for two environments: two wait for the function's timeout, one is
        # throttled. All get what the edge has.
        assert_served(serverless, value)
        after = {outcome: invocations(serverless, outcome=outcome) for outcome in before}
        assert after["timeout"] > before["timeout"]
        assert after["throttled"] > before["throttled"]
        until(lambda: snapshot(serverless.url, "counter")["value"] == value + 1, "a fresh answer")
        viewer.assert_increasing()
        assert viewer.failures == []


def started_runtimes(stack) -> list[psutil.Process]:
    """Both environments' processes; an environment's first invocation starts its own."""

    def found() -> list[psutil.Process]:
        ask_all(stack.origin_urls[0], ["/values/counter"] * 4)
        runtimes = [psutil.Process(stack.pid(it)).children() for it in FUNCTIONS]
        return list(chain.from_iterable(runtimes)) if all(runtimes) else []

    result: list[psutil.Process] = until(found, "both environments", 40)
    return result


def ask_all(base: str, paths: list[str]) -> None:
    with ThreadPoolExecutor(len(paths)) as pool:
        list(pool.map(lambda path: httpx.get(base + path, timeout=20), paths))


def assert_served(stack, value) -> None:
    """Snapshot, event stream and text stream, all at once, show `value`."""

    def stream(path):
        with Viewer(stack.url, path) as viewer:
            viewer.wait_connected()
            until(lambda: viewer.events, f"the beginning of {path}")
            return viewer.events[0][2]

    with ThreadPoolExecutor(3) as pool:
        text = pool.submit(stream, "/stream")
        sse = pool.submit(stream, "/values/counter?as=sse")
        shown = pool.submit(snapshot, stack.url, "counter")
        assert json.loads(text.result())["data"] == value
        assert sse.result()["value"] == value
        assert shown.result()["value"] == value
