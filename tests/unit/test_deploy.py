"""deploy/: what systemd says of the units, and whether they name settings that there are."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from holdfast import config
from holdfast.environment import FILE, variable
from publisher.kafka import topic_config
from stack.layout import REPO

UNITS = sorted((REPO / "deploy" / "systemd").glob("*.service"))
MOST_EXPOSURE = 15  # tenths; systemd's own words: up to 2 is "OK", a plain unit has 9.6
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def units(tmp_path):
    """The units as if Holdfast were installed where this tree is, templates with a number."""
    made = []
    for unit in UNITS:
        file = tmp_path / unit.name.replace("@", "@1")
        file.write_text(unit.read_text().replace("/opt/holdfast", str(REPO)))
        made.append(str(file))
    return made


def analyze(*arguments):
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@needs_systemd
def test_systemd_has_nothing_to_say_against_the_units(units):
    assert len(units) == 4
    done = analyze("verify", "--man=no", *units)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_units_may_do_little(units):
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", *units)
    assert done.returncode == 0, done.stdout[-3000:]


# What commands read, and no part does: the operator's address and token, click's completion.
OF_COMMANDS = {"HOLDFAST_SEEDS", "HOLDFAST_URL", "HOLDFAST_OPERATOR_TOKEN", "HOLDFAST_COMPLETE"}


def test_what_deploy_and_docs_set_are_settings():
    names = {variable(name) for name in config.NAMES}
    files = [*(REPO / "deploy").rglob("*"), *(REPO / "docs").glob("*.md"), REPO / ".env.example"]
    for file in files:
        if not file.is_file():
            continue
        text = file.read_text(errors="replace")
        for found in set(re.findall(r"HOLDFAST_[A-Z][A-Z_]*[A-Z]\b", text)):
            if found.startswith("HOLDFAST_KAFKA_") or found in OF_COMMANDS:
                continue  # unit/test_environment.py knows librdkafka's
            assert found.removesuffix(FILE) in names or found in names, f"{file.name}: {found}"


def test_three_copies_are_two_that_acknowledge():
    settings = [config.load({"HOLDFAST_KAFKA_REPLICATION": str(number)}) for number in (1, 2, 3, 5)]
    assert [topic_config(each).get("min.insync.replicas") for each in settings] == [
        None,
        None,
        "2",
        "2",
    ]
