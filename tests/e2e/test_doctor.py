"""`holdfast doctor`: what it says of a stack that is well, and of one where something is wrong."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from holdfast import config, values
from holdfast.cli import main
from holdfast.cli.doctor import examine
from holdfast.cli.doctor.findings import Site, Verdict
from holdfast.state import connect

NOBODY = "http://127.0.0.1:1"


def site_of(stack, **changed):
    """The session's stack, as somebody sees it whose environment differs in that."""
    names = {f"HOLDFAST_{name.upper()}": value for name, value in changed.items()}
    settings = config.load(stack.settings() | names)
    return Site(settings, values.load(settings.values), stack.url)


def faults(site):
    """What is broken: (part, detail, advice)."""
    return [
        (each.part, each.detail, each.advice)
        for each in examine(site)
        if each.verdict is Verdict.FAIL
    ]


def test_a_stack_that_is_well(stack):
    done = CliRunner().invoke(main, ["doctor", "--json", "--dir", str(stack.dir)])
    found = json.loads(done.stdout)["findings"]
    assert [each for each in found if each["verdict"] == "fail"] == []
    assert done.exit_code == 0
    parts = {each["part"].split(" ")[0] for each in found}
    assert parts >= {
        *("settings", "redis", "kafka", "topic", "state", "origin", "publisher", "relay"),
        *("edge", "exporter", "pushpin", "front", "nginx"),
    }


def test_every_node_is_looked_at_also_behind_one_that_is_away(stack):
    """Also where nobody is, and without telling secrets that URLs hold."""
    grip = f"{NOBODY}?key=a-secret,{stack.settings()['HOLDFAST_GRIP_URL']}"
    edges = f"{NOBODY},{stack.varnish_urls[0]}"
    found = examine(site_of(stack, grip_url=grip, purge_urls=edges, fastly_key="another key"))
    said = {
        kind: [each for each in found if each.part.startswith(kind)] for kind in ("pushpin", "edge")
    }
    for kind in said:
        assert any(each.verdict is Verdict.FAIL and NOBODY in each.part for each in said[kind])
    assert any(each.detail == "takes items" for each in said["pushpin"])
    assert any(each.detail == "refuses purges: 401" for each in said["edge"])
    assert all(each.advice for each in found if each.verdict in (Verdict.FAIL, Verdict.WARN))
    assert not any("a-secret" in f"{each}" or "another key" in f"{each}" for each in found)


def test_without_redis_or_kafka_it_says_so_and_goes_on(stack):
    site = site_of(stack, redis_url="redis://127.0.0.1:1/0", kafka="127.0.0.1:1")
    parts = [part for part, _, _ in faults(site)]
    assert parts == ["redis", "kafka"]


def test_a_redis_that_would_throw_values_away(stack):
    with connect(stack.redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            (fault,) = faults(site_of(stack))
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert fault[1] == "maxmemory-policy is allkeys-lru"
    assert "noeviction" in fault[2]


@pytest.fixture
def doctored(stack):
    """A topic of which Redis knows another by that name."""
    admin = AdminClient({"bootstrap.servers": stack.kafka})
    admin.create_topics([NewTopic("doctored", 1, 1)])["doctored"].result(30)
    with connect(stack.redis_url) as client:
        client.mset({"topic_id:doctored:0": "another", "offset:doctored:0": 5})
        yield
        client.delete("topic_id:doctored:0", "offset:doctored:0")
    admin.delete_topics(["doctored"])["doctored"].result(30)


def test_a_topic_that_was_re_created_and_one_that_is_missing(stack, doctored, tmp_path):
    file = tmp_path / "values.toml"
    file.write_text(
        """
        [values.counter]
        reduce = "sum"
        default = true
        [values.one]
        reduce = "sum"
        topic = "doctored"
        [values.two]
        reduce = "sum"
        topic = "nowhere"
        """
    )
    found = {
        part: (detail, advice) for part, detail, advice in faults(site_of(stack, values=str(file)))
    }
    assert found.keys() == {"topic doctored", "topic nowhere"}
    assert "holdfast accept-log doctored 0" in found["topic doctored"][0]
    assert found["topic nowhere"][0] == "is not there"


def test_settings_that_are_wrong_end_it_with_2(stack, monkeypatch, tmp_path):
    monkeypatch.setenv("HOLDFAST_METRICS_PORT", "x")
    done = CliRunner().invoke(main, ["doctor", "--dir", str(tmp_path)])
    assert done.exit_code == 2
    assert "HOLDFAST_METRICS_PORT" in done.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_the_commands(shell):
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0
    assert f"_HOLDFAST_COMPLETE={shell}_complete" in done.stdout
    words = {"COMP_WORDS": "holdfast doc", "COMP_CWORD": "1", "_HOLDFAST_COMPLETE": "bash_complete"}
    assert "doctor" in CliRunner().invoke(main, [], env=words, prog_name="holdfast").output
