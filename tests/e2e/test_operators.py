"""What an operator does at the front door and with the command, and what comes of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from json import loads

import httpx
import pytest
from click.testing import CliRunner, Result

from holdfast.cli import main
from holdfast.desk_api import RefusedError
from holdfast.errors import SettingError
from holdfast.kafka import Cluster
from origin.settings_log import SettingsLog
from tests.e2e.metrics import metric
from tests.e2e.viewers import Viewer, answers, post, snapshot, until

RATE = "values/visits/rate"


@pytest.fixture
def desk(stack):
    """The API; what was set for `visits` is taken back afterwards."""
    yield stack.desk
    stack.desk.call("DELETE", RATE, etag="*")
    stack.desk.call("POST", "values/visits/resume")


def run(stack, *words: str, **environment: str) -> Result:
    """The command, as one uses it."""
    where = [] if "HOLDFAST_URL" in environment else ["--dir", str(stack.dir)]
    return CliRunner().invoke(main, [*words, *where], env=environment)


def test_a_raised_rate_counts_at_the_next_release(stack, desk):
    assert desk.call("PUT", RATE, {"rate": 50, "burst": 50}, etag="*").taken
    with Viewer(stack.url, "/values/visits?as=sse") as viewer:
        viewer.wait_connected()
        seen = len(viewer.versions)
        for _ in range(10):
            value = snapshot(stack.url, "visits")["value"]
            assert post(stack.url, "visits", {"add": 1}).status_code == 202
            until(lambda wanted=value + 1: viewer.values[-1] == wanted, "a fast release")
        assert len(viewer.versions) == seen + 10
        viewer.assert_increasing()


def test_a_lowered_threshold_lets_go_what_it_held_back(stack):
    """price.* has a threshold of 0.5."""
    try:
        stack.produce("ticks", '{"price": 10}', key="OPS")
        until(lambda: answers(f"{stack.url}/values/price.OPS"), "the first price")
        stack.produce("ticks", '{"price": 10.3}', key="OPS")
        entry = until(
            lambda: (
                (found := stack.desk.call("GET", "values/price.OPS").body)["working"] == 10.3
                and found
            ),
            "the second price, held back",
        )
        assert (entry["released"], entry["dirty"]) == (10, True)
        stack.desk.call("PUT", "families/price.*", {"threshold": 0.2}, etag="*")
        until(lambda: snapshot(stack.url, "price.OPS")["value"] == 10.3, "the price let go")
    finally:
        stack.desk.call("DELETE", "families/price.*", etag="*")


def test_a_pause_holds_back_and_what_goes_on_is_the_newest(stack, desk):
    before = snapshot(stack.url, "visits")
    assert desk.call("POST", "values/visits/pause").body["paused"]["who"] == "operator"
    for _ in range(3):
        assert post(stack.url, "visits", {"add": 1}).status_code == 202
    until(
        lambda: desk.call("GET", "values/visits").body["working"] == before["value"] + 3,
        "the updates applied",
    )
    assert snapshot(stack.url, "visits") == before
    desk.call("POST", "values/visits/resume")
    until(lambda: snapshot(stack.url, "visits")["value"] == before["value"] + 3, "the release")


def test_a_purge_makes_the_edge_ask_again(stack, desk):
    def asked() -> float:
        return metric(stack.origin_urls, "holdfast_origin_requests_total", route="/values/<name>")

    post(stack.url, "visits", {"add": 1})
    until(lambda: not desk.call("GET", "values/visits").body["dirty"], "visits at rest")
    snapshot(stack.url, "visits")
    before = asked()
    snapshot(stack.url, "visits")
    assert asked() == before
    desk.call("POST", "values/visits/purge")
    until(lambda: snapshot(stack.url, "visits") and asked() > before, "a question to the origin")


def test_top_shows_what_the_api_tells(stack):

    def figures():
        result = run(stack, "top", "--once", "--json")
        return loads(result.output) if result.exit_code == 0 else None

    def complete():
        found = figures()
        # A rate takes two looks at a node.
        return found and found["edges"][0]["requests_per_s"] is not None and found

    found = until(complete, "the first figures")
    assert found["edges"][0]["url"] == stack.varnish_urls[0]
    assert {value["name"] for value in found["values"]} >= {"counter", "visits"}
    assert found["pushpins"][0]["viewers"] is not None
    shown = run(stack, "top", "--once").output
    assert all(words in shown for words in ("counter", stack.varnish_urls[0], "updates[3]"))


def test_predict_says_what_a_rate_would_do(stack):
    until(lambda: run(stack, "predict", "visits", "2").exit_code == 0, "the first figures")
    found = loads(run(stack, "predict", "visits", "2", "--json").output)
    assert (found["name"], found["rate"]) == ("visits", 2)
    assert found["predicted"]["releases"] <= 2
    assert "age on screen" in run(stack, "predict", "visits").output
    assert run(stack, "predict", "visits", "0").exit_code == 1


def test_who_has_not_seen_the_newest_setting_overwrites_nothing(stack, desk):
    seen = desk.call("GET", RATE)
    desk.call("PUT", RATE, {"rate": 2}, etag=seen.etag)
    with pytest.raises(RefusedError, match="412") as refused:
        desk.call("PUT", RATE, {"rate": 3}, etag=seen.etag)
    assert "operator set it to {'rate': 2}" in str(refused.value)
    with pytest.raises(RefusedError, match="428"):
        desk.call("PUT", RATE, {"rate": 3})
    now = desk.call("GET", RATE)
    assert (now.body["set"], now.body["from"]["rate"]) == ({"rate": 2}, "value")
    assert desk.call("DELETE", RATE, etag=now.etag).body["from"]["rate"] == "defaults"


def test_of_origins_that_write_at_once_none_overwrites_unseen(stack):
    """Twelve increments of what each has just read, by three origins."""
    logs = [SettingsLog(Cluster(stack.kafka)) for _ in range(3)]
    begin = threading.Barrier(3)

    def increment(log: SettingsLog) -> list[int]:
        begin.wait()
        return [
            log.change(
                "hook:race",
                "test",
                lambda tuning: {"n": 1 + (((s := tuning.get("hook:race")) and s.to["n"]) or 0)},
            ).version
            for _ in range(4)
        ]

    def refuse(tuning):
        assert tuning.get("hook:race").to == {"n": 12}
        raise SettingError(412, "seen")

    with ThreadPoolExecutor(3) as pool:
        versions = [version for each in pool.map(increment, logs) for version in each]
    assert len(set(versions)) == 12
    with pytest.raises(SettingError):
        logs[0].change("hook:race", "test", refuse)
    logs[0].change("hook:race", "test", lambda _: None)
    history = [each.change for each in logs[1].audit(50) if each.change.key == "hook:race"][:13]
    assert [(each.after or {}).get("n") for each in reversed(history)] == [*range(1, 13), None]
    assert all(before.after == after.before for after, before in pairwise(history))


def test_an_answer_to_an_operator_is_for_nobody_else(stack):
    url, token = f"{stack.url}/api/values", stack.operator_token
    for _ in range(2):
        answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.headers["X-Cache"]) == (200, "MISS")
        assert answer.headers["Cache-Control"] == "no-store"
        assert httpx.get(url).status_code == 401


def test_the_command_does_what_the_api_does(stack, desk):
    shown = run(stack, "rate", "visits", "0.5", "--burst", "2")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "operator set rate 0.5, burst 2 at" in shown.stdout
    # What else is set stays.
    assert loads(run(stack, "rate", "visits", "4", "--json").stdout)["set"] == {
        "rate": 4.0,
        "burst": 2,
    }
    assert run(stack, "pause", "visits").stdout == "visits is paused\n"
    listed = run(stack, "values", "--prefix", "vis").stdout
    assert "paused by operator" in listed
    assert "4*" in listed
    assert run(stack, "resume", "visits").exit_code == 0
    assert run(stack, "purge", "visits").exit_code == 0
    assert run(stack, "rate", "visits", "--reset").exit_code == 0
    assert desk.call("GET", RATE).body["set"] is None
    shown = run(stack, "budget", "--per-hour", "100000", "--per-second", "none")
    assert "no limit" in shown.stdout
    assert loads(run(stack, "budget", "--reset", "--json").stdout)["per_hour"] is None
    audit = loads(run(stack, "audit", "--limit", "3", "--json").stdout)["changes"]
    assert [(each["key"], each["to"]) for each in audit] == [
        ("budget", None),
        ("budget", {"per_hour": 100000.0, "per_second": None}),
        ("value:visits", None),
    ]


def test_the_command_says_by_its_exit_status_what_went_wrong(stack):
    remote = {"HOLDFAST_URL": stack.url, "HOLDFAST_OPERATOR_TOKEN": stack.operator_token}
    assert run(stack, "rate", "counter", **remote).exit_code == 0
    refused = run(stack, "rate", "counter", "0", **remote)
    assert (refused.exit_code, refused.stderr) == (
        1,
        "Error: 422: rate must be above 0; pause a value to stop it\n",
    )
    assert run(stack, "rate", "nobody", **remote).exit_code == 1
    assert run(stack, "rate", "counter", "fast", **remote).exit_code == 2
    wrong = {**remote, "HOLDFAST_OPERATOR_TOKEN": "nobody's token, at any rate".replace(" ", "-")}
    assert run(stack, "values", **wrong).exit_code == 1
    nowhere = {**remote, "HOLDFAST_URL": "http://127.0.0.1:9"}
    assert run(stack, "values", **nowhere).exit_code == 3
