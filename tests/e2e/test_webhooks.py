"""Webhooks of a running stack: set at the front door, delivered by a process that may die."""

from __future__ import annotations

import os
import signal
from json import loads

import pytest

from tests.e2e.metrics import metric
from tests.e2e.test_operators import run
from tests.e2e.viewers import answers, post, snapshot, until
from tests.receiver import Receiver

NAME = "visits"


@pytest.fixture
def hook(stack):
    """Makes hooks, and removes them in the end."""
    made = []

    def make(url, values=NAME, **more):
        body = {"url": url, "values": values, **more}
        made.append(stack.desk.call("POST", "webhooks", body).body)
        return made[-1]

    yield make
    for each in made:
        stack.desk.call("DELETE", f"webhooks/{each['id']}")


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


def shown(stack, hook):
    return stack.desk.call("GET", f"webhooks/{hook['id']}").body


def newest(stack):
    return snapshot(stack.url, NAME)["version"]


def add(stack):
    assert post(stack.url, NAME, {"add": 1}).status_code == 202


def test_each_release_is_posted_and_the_edge_shows_it_by_then(stack, hook, receiver):
    made = hook(receiver.url)
    receiver.secret = made["secret"]
    for _ in range(3):
        seen = len(receiver.releases)
        add(stack)
        until(lambda seen=seen: len(receiver.releases) > seen, "a release")
        told = receiver.releases[-1]
        assert snapshot(stack.url, NAME)["version"] >= told["version"]
    until(lambda: receiver.versions(NAME)[-1] == newest(stack), "the newest")
    assert receiver.releases[-1] | {"type": "x"} == snapshot(stack.url, NAME) | {"type": "x"}
    assert {release["type"] for release in receiver.releases} == {"value.released"}
    receiver.assert_increasing(NAME)
    until(lambda: shown(stack, made)["state"] == "live", "its state")
    # The secret is in no record that is kept for ever.
    audit = run(stack, "audit", "--limit", "1", "--json").stdout
    assert made["id"] in audit
    assert made["secret"] not in audit


def test_bad_receivers_keep_nobody_waiting_and_the_guard_holds(stack, hook, receiver):
    with (
        Receiver() as hanging,
        Receiver() as failing,
        Receiver() as redirecting,
        Receiver() as prey,
    ):
        receiver.secret = hook(receiver.url)["secret"]
        hanging.go_on.clear()
        failing.status = 500
        redirecting.status, redirecting.headers = 307, {"Location": prey.url}
        hook(hanging.url)
        bad, wandering = hook(failing.url), hook(redirecting.url)
        # Loopback, too, but not by the name that the stack permits.
        refused = hook(f"http://[::1]:{prey.port}/")
        for _ in range(3):
            seen = len(receiver.releases)
            add(stack)
            until(lambda seen=seen: len(receiver.releases) > seen, "a release", 6)
        receiver.assert_increasing(NAME)
        assert receiver.failures == []
        until(lambda: shown(stack, bad)["failures"] >= 2, "failures")
        assert shown(stack, bad)["last"]["status"] == 500
        until(lambda: shown(stack, wandering)["failures"] >= 1, "a redirect")
        assert "not followed" in shown(stack, wandering)["last"]["error"]
        until(lambda: shown(stack, refused)["failures"] >= 1, "a refusal")
        assert "no public address" in shown(stack, refused)["last"]["error"]
        assert prey.requests == []
        listed = run(stack, "hooks", "list").stdout
        assert listed.count("failing") >= 3


def test_what_is_owed_outlives_the_process_and_a_wipe_of_redis(stack, hook, receiver, redis_client):
    made = hook(receiver.url)
    receiver.secret = made["secret"]
    add(stack)
    until(lambda: receiver.versions(NAME), "a release")
    receiver.status = 503
    seen = len(receiver.requests)
    add(stack)
    until(lambda: len(receiver.requests) > seen, "a failure")
    os.kill(stack.pid("hooks-1"), signal.SIGKILL)
    receiver.status = 200
    until(lambda: receiver.versions(NAME)[-1:] == [newest(stack)], "what was owed", 60)

    before = receiver.versions(NAME)[-1]
    redis_client.flushall()
    until(lambda: answers(f"{stack.url}/values/{NAME}"), "the values' return", 60)
    add(stack)
    value = until(
        lambda: (found := snapshot(stack.url, NAME))["version"] > before and found,
        "a release after the wipe",
        60,
    )["version"]
    until(lambda: receiver.versions(NAME)[-1] >= value, "its delivery", 60)
    assert until(lambda: shown(stack, made)["state"] == "live", "the hook's state", 60)
    assert receiver.failures == []
    receiver.assert_increasing(NAME)


def test_the_command_adds_shows_enables_and_removes(stack, receiver):
    id, secret = run(stack, "hooks", "add", NAME, receiver.url).stdout.split()
    receiver.secret, receiver.status = secret, 410
    add(stack)
    until(lambda: "gone" in run(stack, "hooks", "show", id).stdout, "the hook disabled")
    assert loads(run(stack, "hooks", "show", id, "--json").stdout)["state"] == "disabled"
    receiver.status = 200
    assert run(stack, "hooks", "enable", id).stdout == f"{id} is tried again\n"
    until(lambda: receiver.versions(NAME), "what was owed")
    port = next(part.ports["metrics"] for part in stack.status() if part.name == "hooks-1")
    own = [f"http://127.0.0.1:{port}"]
    assert metric(own, "holdfast_hook_deliveries_total", hook=id, result="ok") >= 1
    assert run(stack, "hooks", "remove", id).stdout == f"{id} is removed\n"
    assert run(stack, "hooks", "show", id).exit_code == 1
    assert run(stack, "hooks", "add", NAME, "file:///etc/passwd").exit_code == 1
