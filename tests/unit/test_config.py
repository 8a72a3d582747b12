"""Settings: read once, cast, and a fault that names the variable and keeps its value to itself."""

from __future__ import annotations

import logging

import pytest

from holdfast import config
from holdfast.errors import ConfigError

MARK = "s3cret-mark"


def test_everything_but_secrets_has_a_default_for_one_machine(environment):
    settings = config.load()
    assert settings.kafka == "127.0.0.1:9092"
    assert settings.grip_url == ("http://127.0.0.1:5561",)
    assert settings.metrics_port == 0
    for name in ("grip_key", "fastly_key"):
        with pytest.raises(ConfigError, match=f"HOLDFAST_{name.upper()} is not set"):
            settings.secret(name)


def test_an_empty_secret_is_none(environment):
    environment(FASTLY_KEY="")
    with pytest.raises(ConfigError, match="HOLDFAST_FASTLY_KEY"):
        config.load().secret("fastly_key")


def test_lists_are_split_at_commas_and_lose_spaces_empty_parts_and_last_slashes(environment):
    environment(PURGE_URLS=" http://127.0.0.1:1/ ,,http://127.0.0.1:2, ")
    assert config.load().purge_urls == ("http://127.0.0.1:1", "http://127.0.0.1:2")


def test_a_list_of_nothing_is_empty(environment):
    environment(PURGE_URLS="")
    assert config.load().purge_urls == ()


def test_a_key_in_a_grip_url_keeps_its_last_slash(environment):
    """Base64 may end in one."""
    url = "https://api.fanout.io/realm/x?iss=x&key=base64:AAA/"
    environment(GRIP_URL=f"http://127.0.0.1:5561/,{url}")
    assert config.load().grip_url[1] == url


def test_numbers_and_paths_are_cast(environment):
    environment(REPURGE_AFTER="2.5", METRICS_PORT="9100", VALUES="/etc/values.toml")
    settings = config.load()
    assert (settings.repurge_after, settings.metrics_port) == (2.5, 9100)
    assert settings.values.name == "values.toml"


def test_settings_can_not_be_changed(environment):
    with pytest.raises(ValueError, match="frozen"):
        config.load().kafka = "other:9092"


def test_a_variable_that_is_no_setting_is_a_warning_with_the_one_that_was_meant(
    environment, caplog
):
    environment(FASTLY_SERVICE="1", SOMETHING_ELSE=MARK, STACK="a stack's mark")
    config.load()
    config.warn(logging.getLogger())
    assert sorted(record.message for record in caplog.records) == [
        "HOLDFAST_FASTLY_SERVICE is not a setting; HOLDFAST_FASTLY_SERVICE_ID is",
        "HOLDFAST_SOMETHING_ELSE is not a setting",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("METRICS_PORT", MARK),
        ("METRICS_PORT", "65536"),
        ("METRICS_PORT", "-1"),
        ("REPURGE_AFTER", MARK),
        ("REPURGE_AFTER", "nan"),
        ("REPURGE_AFTER", "301"),
        ("BUDGET_PER_SECOND", "-1"),
        ("BUDGET_PER_SECOND", "inf"),
        ("BUDGET_PER_HOUR", "1e10"),
        ("BUDGET_PER_HOUR", MARK),
        ("OPERATOR_TOKENS", f"alice:{MARK}"),
        ("FASTLY_SERVICE_ID", f"{MARK}/.."),
        ("SLOT", f"{MARK} {MARK}"),
        ("SLOT", ""),
        ("GROUP", "x" * 65),
        ("LOG_LEVEL", MARK),
        ("PURGE_URLS", f"{MARK}:6081"),
        ("PURGE_URLS", f"http://127.0.0.1:1,ftp://{MARK}"),
        ("ORIGIN_URLS", f"//{MARK}"),
        ("GRIP_URL", f"127.0.0.1:5561?key={MARK}"),
        ("GRIP_URL", f"http://?key={MARK}"),
        ("REDIS_URL", MARK),
        ("REDIS_URL", f"http://:{MARK}@127.0.0.1"),
        ("REDIS_URL", f"redis://127.0.0.1:{MARK}"),
        ("REDIS_URL", f"rediss://127.0.0.1/0?ssl_certs={MARK}"),
        ("KAFKA", ""),
        ("KAFKA_NO_SUCH_THING", MARK),
        ("KAFKA_CLIENT", MARK),
        ("KAFKA_ERROR_CB", MARK),
        ("KAFKA_LOGGER", MARK),
        ("KAFKA_SECURITY_PROTOCOL", MARK),
        ("KAFKA_FETCH_MIN_BYTES", MARK),
    ],
)
def test_a_fault_names_the_variable_and_not_its_value(environment, name, value):
    environment(**{name: value, "GRIP_KEY": MARK, "FASTLY_KEY": MARK})
    with pytest.raises(ConfigError) as fault:
        config.load()
    assert str(fault.value).startswith(f"HOLDFAST_{name}")
    assert MARK not in str(fault.value)
    # Nor may a traceback show what the message does not.
    assert fault.value.__cause__ is None
    assert fault.value.__suppress_context__


def test_every_fault_is_named_at_once(environment):
    environment(METRICS_PORT="x", SLOT=" ")
    with pytest.raises(ConfigError, match=r"HOLDFAST_SLOT: .*; HOLDFAST_METRICS_PORT: "):
        config.load()


def test_secrets_do_not_show_when_settings_are_printed(environment):
    environment(GRIP_KEY=MARK)
    settings = config.load()
    assert MARK not in f"{settings!r} {settings}"
    assert settings.secret("grip_key") == MARK
