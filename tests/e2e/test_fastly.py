"""The publisher as it is, told by its settings alone that the edge is Fastly and Fanout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid

import pytest

from stack.layout import REPO
from tests.e2e.viewers import post, until
from tests.fastly_api import FastlyApi
from tests.integration.redis_server import RedisServer

SERVICE = "SU1Z0isxPaozGVKXdv0eY"
TOKEN = "a token of global scope"
REPURGE_S = 1.0


@pytest.fixture
def api():
    api = FastlyApi(SERVICE, TOKEN)
    yield api
    api.close()


@pytest.fixture
def publisher(stack, api, tmp_path):
    """Its own process, Redis and group; Kafka is the stack's, and is read from its start."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    redis = RedisServer()
    redis.start()
    inherited = {key: text for key, text in os.environ.items() if not key.startswith("HOLDFAST_")}
    settings = {key: text for key, text in stack.settings().items() if key != "HOLDFAST_STACK"}
    environ = {
        **inherited,
        **settings,
        "HOLDFAST_REDIS_URL": redis.url,
        "HOLDFAST_GROUP": f"fastly-{uuid.uuid4().hex}",
        "HOLDFAST_SLOT": f"fastly-{uuid.uuid4().hex}",
        "HOLDFAST_PURGE_URLS": api.url,
        "HOLDFAST_GRIP_URL": api.grip_url,
        "HOLDFAST_FASTLY_SERVICE_ID": SERVICE,
        "HOLDFAST_FASTLY_KEY": "",
        "HOLDFAST_FASTLY_KEY_FILE": str(tmp_path / "token"),
        "HOLDFAST_REPURGE_AFTER": str(REPURGE_S),
    }
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "publisher"], cwd=REPO, env=environ, stderr=log
        )
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0, (tmp_path / "log").read_text()[-2000:]
    assert TOKEN not in (tmp_path / "log").read_text()
    redis.close()


def test_a_release_is_purged_published_and_purged_again_at_fastly(stack, api, publisher):
    name = f"sum.fastly-{uuid.uuid4().hex[:8]}"
    key = f"value:{name}"
    post(stack.url, name, {"add": 1})

    def messages():
        return [message for message in list(api.messages) if message.channel == key]

    def releases():
        return [message for message in messages() if message.id != message.prev_id]

    def purges():
        return [purge for purge in list(api.purges) if key in purge.keys]

    until(lambda: len(releases()) == 1, "the release at Fanout", 60)
    until(lambda: len(purges()) >= 2, "the second purge", 30)
    (release,) = releases()
    assert b'"value":1,' in release.stream
    first, second = purges()[:2]
    assert first.soft
    assert second.soft
    assert first.at <= release.at
    assert second.at - first.at >= REPURGE_S * 0.9

    # Fastly has enough of it, and the stream goes on all the same.
    api.purge_answers.append((429, {"Retry-After": "1"}))
    post(stack.url, name, {"add": 1})
    until(lambda: len(releases()) == 2, "the next release", 30)
    assert b'"value":2,' in releases()[1].stream
    until(lambda: ("all",) in [purge.keys for purge in list(api.purges)], "what is owed", 30)
    assert all(purge.soft for purge in list(api.purges))
    # A confirm, three seconds after the release: whoever missed it recovers.
    until(lambda: messages()[-1].id == messages()[-1].prev_id, "a confirm", 30)
    assert api.faults == []
