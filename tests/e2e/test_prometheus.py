"""deploy/prometheus and deploy/grafana against the figures that the parts really have."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from click.testing import CliRunner

from holdfast.cli import main
from stack.layout import REPO
from stack.ports import choose
from tests.contract.markdown import section
from tests.e2e.viewers import post, until

RULES = REPO / "deploy" / "prometheus" / "rules.yml"
DASHBOARD = REPO / "deploy" / "grafana" / "holdfast.json"
# A part of an expression that names no metric.
_OTHER = re.compile(
    r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)'
)
_NAME = re.compile(r"[a-zA-Z_:][\w:]*(?!\w*\s*\()")
_WORDS = {"and", "or", "unless", "bool", "offset"}
# What Prometheus itself makes.
OWN = {"up", "ALERTS"}


def names_in(expression: str) -> set[str]:
    """The metrics that an expression asks for."""
    return set(_NAME.findall(_OTHER.sub(" ", expression))) - _WORDS


def alerts():
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels():
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if "targets" in panel]


def expressions() -> dict[str, str]:
    """By who asks."""
    found = {rule["alert"]: rule["expr"] for rule in alerts()}
    for panel in panels():
        for target in panel["targets"]:
            found[f"panel {panel['title']} {target['refId']}"] = target["expr"]
    return found


class Prometheus:
    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **parameters: str) -> object:
        answer = httpx.get(
            f"{self.url}/api/v1/{path}", params=parameters, timeout=30, trust_env=False
        )
        document = answer.json()
        assert document["status"] == "success", (path, parameters, document)
        return document["data"]

    def scraped(self) -> bool:
        targets = self.ask("targets")["activeTargets"]
        return bool(targets) and all(target["health"] == "up" for target in targets)


@contextmanager
def running(folder: Path, config: str) -> Iterator[Prometheus]:
    (folder / "prometheus.yml").write_text(config)
    port = choose(folder / "ports.json", ["prometheus"], {})["prometheus"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        prometheus = Prometheus(f"http://127.0.0.1:{port}")

        def answers() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                return httpx.get(f"{prometheus.url}/-/ready", trust_env=False).status_code == 200
            except httpx.HTTPError:
                return False

        until(answers, "Prometheus", 60)
        yield prometheus
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def prometheus(stack, tmp_path_factory):
    """Scrapes the session's stack, which has counted something by then."""
    assert post(stack.url, "counter", {"add": 1}).status_code == 202
    words = ["scrape-config", "--interval", "1", "--rules", str(RULES), "--dir", str(stack.dir)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    with running(tmp_path_factory.mktemp("prometheus"), done.stdout) as prometheus:
        until(prometheus.scraped, "a scrape of every part", 60)
        yield prometheus


def exported(stack) -> set[str]:
    """Every metric of every part, also those that have no series so far."""
    names = set(OWN)
    for target in (target for targets in stack.scrape_jobs().values() for target in targets):
        text = httpx.get(f"http://{target}/metrics", timeout=30, trust_env=False).text
        for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
            ends = ("_bucket", "_count", "_sum") if kind == "histogram" else ("",)
            names |= {name + end for end in ends}
    return names


def test_every_metric_that_is_asked_for_is_exported(stack, prometheus):
    there = exported(stack)
    missing = {who: names_in(text) - there for who, text in expressions().items()}
    assert {who: names for who, names in missing.items() if names} == {}
    assert all(names_in(text) for text in expressions().values())


def test_prometheus_can_work_out_every_panel_and_no_alert_is_wrong(prometheus):
    for who, text in expressions().items():
        wanted = text.replace("$__rate_interval", "1m")
        assert prometheus.ask("query", query=wanted)["resultType"] == "vector", who

    def rules():
        groups = prometheus.ask("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    until(lambda: all(rule["health"] != "unknown" for rule in rules()), "every rule", 30)
    assert {rule["name"]: rule["lastError"] for rule in rules() if rule["health"] != "ok"} == {}


@pytest.mark.parametrize(
    "expression",
    [
        "sum(rate(holdfast_releases_total[1m]))",
        "histogram_quantile(0.99, sum by (le) (rate(holdfast_age_seconds_bucket[1m])))",
        "sum(connection_connected)",
        "sum(holdfast_leads) == 1",
        "holdfast_build_info",
        'holdfast_node_owed{job="holdfast-publisher"}',
        'holdfast_purges_total{result="refused"}',
    ],
)
def test_a_stack_that_is_used_has_figures(stack, prometheus, expression):
    """Also of what did not happen so far: 0 is a figure."""

    def value():
        post(stack.url, "counter", {"add": 1})
        return prometheus.ask("query", query=expression)["result"]

    assert until(value, expression, 60)


def test_promtool_takes_the_files_and_alerts_come_when_they_should():
    for words in (
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "rules.yml"),
        ("test", "rules", "rules_test.yml"),
    ):
        done = subprocess.run(
            ["promtool", *words], cwd=RULES.parent, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_jobs_of_the_example_are_those_of_a_stack(stack):
    example = yaml.safe_load((RULES.parent / "prometheus.yml").read_text())
    assert [each["job_name"] for each in example["scrape_configs"]] == list(stack.scrape_jobs())


def test_every_alert_leads_to_a_section_that_says_what_to_do():
    for rule in alerts():
        file, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert anchor == rule["alert"].lower()
        assert len(section(REPO / file, rule["alert"]).split()) > 15, rule["alert"]


def test_the_dashboard_is_whole():
    document = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in document["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        assert panel["title"]
        assert {each["datasource"]["uid"] for each in panel["targets"]} == {"${datasource}"}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (
            'sum by (le, x) (rate(a_bucket[5m])) / b > 0.5 and c{d=~"e"} == 1',
            {"a_bucket", "b", "c"},
        ),
        ("time() - t > 30", {"t"}),
        ("(sum(a) or vector(0)) != 1", {"a"}),
    ],
)
def test_names_are_told_from_the_rest(expression, names):
    assert names_in(expression) == names
