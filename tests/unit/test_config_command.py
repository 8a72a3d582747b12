"""`holdfast config`, and the documents that it has to agree with."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from dotenv import dotenv_values

from holdfast import config
from holdfast.cli import main
from holdfast.cli.config import mask, page
from stack.layout import REPO

MARK = "s3cret-mark"
RIGHT = {"GRIP_KEY": MARK, "FASTLY_KEY": MARK, "VALUES": str(REPO / "values.toml")}


def run(*arguments):
    return CliRunner().invoke(main, ["config", *arguments])


def test_what_is_right_is_said_and_exits_with_0(environment):
    environment(**RIGHT)
    done = run("--check")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "are right" in done.stdout


def test_each_fault_is_a_line_and_the_exit_code_is_2(environment):
    environment(**RIGHT, METRICS_PORT="x", KAFKA_NO_SUCH="1", GRIP_KEY_FILE="/no/such/file")
    done = run("--check")
    assert done.exit_code == 2
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [
        "HOLDFAST_GRIP_KEY_FILE",
        "HOLDFAST_METRICS_PORT",
        "HOLDFAST_KAFKA_NO_SUCH",
    ]
    assert done.stdout == ""


def test_secrets_that_a_part_needs_are_asked_for(environment):
    environment(VALUES=RIGHT["VALUES"])
    assert run("--check").stderr.splitlines() == [
        "HOLDFAST_GRIP_KEY is not set; origin needs it",
        "HOLDFAST_FASTLY_KEY is not set; publisher needs it",
    ]
    assert "GRIP" not in run("--check", "--part", "publisher").stderr
    assert run("--check", "--part", "relay").exit_code == 0


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[values.x]\nreduce = 'sum'\ndefault = true\nrate = 0", "rate must be above 0"),
        ("[values.x]\nreduce = 'sum'\ndefault = true\n[events.__x]", "internal topics"),
        ("]", "Invalid"),
    ],
)
def test_values_toml_is_checked_too(environment, tmp_path, text, what):
    (tmp_path / "values.toml").write_text(text)
    environment(**RIGHT | {"VALUES": str(tmp_path / "values.toml")})
    done = run("--check")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert what in done.stderr


def test_a_file_of_settings_counts_beneath_the_environment(environment, tmp_path):
    (tmp_path / "env").write_text(
        "# a comment\nHOLDFAST_SLOT=from-file\nHOLDFAST_GROUP='a group'\nHOLDFAST_TYPO=1\n"
    )
    environment(**RIGHT, SLOT="from-environment")
    done = run("--check", "--show", "--env-file", str(tmp_path / "env"))
    assert done.exit_code == 2
    assert done.stderr.splitlines()[0] == "warning: HOLDFAST_TYPO is not a setting"
    assert done.stderr.splitlines()[1].startswith("HOLDFAST_GROUP: ")
    assert "from-environment" in done.stdout


def test_secrets_are_masked_and_sources_named(environment, tmp_path):
    (tmp_path / "key").write_text(MARK)
    environment(
        **RIGHT | {"GRIP_KEY": ""},
        GRIP_KEY_FILE=str(tmp_path / "key"),
        REDIS_URL=f"rediss://me:{MARK}@redis:6380/0?ssl_ca_certs=/ca.pem",
        GRIP_URL=f"http://one:5561?iss=a&key={MARK},http://two:5561?key={MARK}",
        KAFKA_SASL_PASSWORD=MARK,
        KAFKA_SASL_USERNAME="me",
    )
    done = run("--show")
    assert done.exit_code == 0
    assert MARK not in done.output
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["HOLDFAST_GRIP_KEY"] == f"***  (file {tmp_path / 'key'})"
    assert lines["HOLDFAST_FASTLY_KEY"] == "***  (environment)"
    assert lines["HOLDFAST_KAFKA_SASL_PASSWORD"] == "***  (environment)"
    assert lines["HOLDFAST_KAFKA_SASL_USERNAME"] == "me  (environment)"
    assert lines["HOLDFAST_SLOT"] == "publisher-1  (default)"
    assert lines["HOLDFAST_REDIS_URL"].startswith("rediss://me:***@redis:6380/0?ssl_ca_certs=/ca")
    assert lines["HOLDFAST_GRIP_URL"].startswith(
        "http://one:5561?iss=a&key=***,http://two:5561?key=***  "
    )


@pytest.mark.parametrize(
    "value",
    [
        f"redis://:{MARK}@h/0",
        f"redis://u:{MARK}@h/0",
        f"redis://h/0?password={MARK}",
        f"redis://h/0?db=1&password={MARK}&x=1",
        f"unix://u:{MARK}@/path",
        f"redis://u:{MARK}:{MARK}@h",
    ],
)
def test_no_password_of_redis_is_shown(value):
    assert MARK not in mask("redis_url", value)


def test_the_page_of_settings_is_what_there_is():
    """`holdfast config --markdown` prints the table for docs/settings.md."""
    assert "\n".join(page()) in (REPO / "docs" / "settings.md").read_text()
    assert all(config.Settings.model_fields[name].description for name in config.NAMES)


def test_the_example_names_every_setting_with_its_default(environment):
    text = (REPO / ".env.example").read_text()
    given = dotenv_values(stream=StringIO(text), interpolate=False)
    defaults = dotenv_values(stream=StringIO(text.replace("\n#HOLDFAST_", "\nHOLDFAST_")))
    assert set(given.values()) == {""}
    assert {name for name in defaults if not name.startswith("HOLDFAST_KAFKA_S")} == {
        config.variable(name) for name in config.NAMES
    }
    settings = {name: defaults[name] for name in map(config.variable, config.NAMES)}
    assert config.load(settings) == config.load({})


PARTS = {
    "origin": (
        str(Path(sys.executable).parent / "gunicorn"),
        "-c",
        "origin/gunicorn.conf.py",
        "origin:create_app()",
    ),
    "publisher": (sys.executable, "-m", "publisher"),
    "relay": (sys.executable, "-m", "publisher.relay"),
    "hooks": (sys.executable, "-m", "publisher.hooks"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_says_what_is_wrong_and_exits_with_2(environment, part):
    environment(**RIGHT, METRICS_PORT="x", KAFKA_SECURITY_PROTOCOL=MARK)
    done = subprocess.run(
        PARTS[part],
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"{part}: HOLDFAST_METRICS_PORT: ")
    assert "; HOLDFAST_KAFKA_SECURITY_PROTOCOL: " in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert MARK not in done.stderr
