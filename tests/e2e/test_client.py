"""The Python client and its commands, at the whole chain."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from holdfast.cli import main
from holdfast.client import Client, RefusedError
from tests.e2e.viewers import post, snapshot, until


def run(stack, *words: str):
    return CliRunner().invoke(main, [*words, "--url", stack.url])


def test_add_says_where_the_update_lies_and_it_counts_once(stack):
    before = snapshot(stack.url, "counter")["value"]
    for _ in range(2):
        done = run(stack, "add", "counter", "3", "--key", f"once-{before}", "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["topic"] == "updates"
    taken = run(stack, "add", "counter", "-1")
    assert taken.stdout.startswith("counter -1: taken, in updates/")
    until(lambda: snapshot(stack.url, "counter")["value"] == before + 2, "the sum")


@pytest.mark.parametrize(
    ("words", "exit_code", "says"),
    [
        (("add", "nobody", "1"), 1, "404: no value is called nobody"),
        (("add", "headline", "1"), 1, "422"),
        (("add", "counter", "much"), 2, "much is no number"),
        (("add", "counter", "nan"), 2, "nan is no number"),
        (("watch", "nobody"), 1, "404: no value is called nobody"),
    ],
)
def test_what_is_refused_says_why(stack, words, exit_code, says):
    done = run(stack, *words)
    assert done.exit_code == exit_code
    assert says in done.output


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://a", "http://"])
def test_what_is_no_url_is_said(url):
    done = CliRunner().invoke(main, ["watch", "counter", "--url", url])
    assert done.exit_code == 2
    assert "is no http:// or https:// URL" in done.output


def test_nobody_there_is_an_error_after_the_time():
    command = ["add", "counter", "1", "--url", "http://127.0.0.1:1", "--timeout", "0.1"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 3
    assert "it may have counted" in done.output


def test_watch_goes_on_when_its_pushpin_is_killed_and_ends_quietly(stack):
    before = snapshot(stack.url, "counter")
    command = [Path(sys.executable).with_name("holdfast"), "watch", "counter", "--json"]
    with subprocess.Popen(
        [*command, "--url", stack.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert json.loads(process.stdout.readline()) == before
            assert process.stderr.readline() == "live\n"
            os.kill(stack.pid("pushpin-1"), signal.SIGKILL)
            assert process.stderr.readline() == "stale\n"
            assert post(stack.url, "counter", {"add": 1}).status_code == 202
            assert json.loads(process.stdout.readline())["value"] == before["value"] + 1
            assert process.stderr.readline() == "live\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()


def test_a_client_that_knows_no_value_is_told_at_once(stack):
    with Client(stack.url) as client, pytest.raises(RefusedError):
        next(client.watch("nobody"))
