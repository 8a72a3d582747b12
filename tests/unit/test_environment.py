"""Secrets from files, and librdkafka's settings: what `HOLDFAST_*` variables can name."""

from __future__ import annotations

import ctypes
import re

import confluent_kafka.cimpl
import pytest
from confluent_kafka import Consumer, Producer

from holdfast import config, kafka
from holdfast.errors import ConfigError
from holdfast.kafka import Cluster
from stack.layout import REPO

MARK = "s3cret-mark"
READ = {
    "GRIP_KEY": lambda settings: settings.secret("grip_key"),
    "FASTLY_KEY": lambda settings: settings.secret("fastly_key"),
    "GRIP_URL": lambda settings: settings.grip_url[0].partition("=")[2],
    "REDIS_URL": lambda settings: settings.redis_url.partition("=")[2],
    "KAFKA_SASL_PASSWORD": lambda settings: settings.kafka_client["sasl.password"],
}
BEFORE = {"GRIP_URL": "http://127.0.0.1?key=", "REDIS_URL": "redis://127.0.0.1?password="}


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_comes_from_a_file_without_its_last_line_feed(environment, tmp_path, name, end):
    (tmp_path / "secret").write_text(f"{BEFORE.get(name, '')}{MARK}{end}", newline="")
    # An empty variable is none: that is how Compose passes on one that is not set.
    environment(**{f"{name}_FILE": str(tmp_path / "secret"), name: ""})
    assert READ[name](config.load()) == MARK


def test_only_one_line_feed_is_not_the_secrets(environment, tmp_path):
    (tmp_path / "secret").write_text(f" {MARK}\n\n")
    environment(GRIP_KEY_FILE=str(tmp_path / "secret"))
    assert config.load().secret("grip_key") == f" {MARK}\n"


def test_an_empty_name_of_a_file_is_none(environment):
    environment(GRIP_KEY_FILE="", GRIP_KEY=MARK, KAFKA_SASL_PASSWORD_FILE="")
    assert config.load().secret("grip_key") == MARK


def write(folder, content):
    (folder / "secret").write_bytes(content)
    return str(folder / "secret")


@pytest.mark.parametrize(
    ("what", "file"),
    [
        ("can't be read: No such file", lambda folder: str(folder / MARK)),
        ("can't be read: Is a directory", str),
        ("is not text", lambda folder: write(folder, b"\xff\xfe")),
        ("is not text", lambda folder: f"{MARK}\n{MARK}"[:0] + str(folder) + "\udcff\0"),
        ("is empty", lambda folder: write(folder, b"")),
        ("is empty", lambda folder: write(folder, b"\n")),
    ],
)
@pytest.mark.parametrize("name", ["FASTLY_KEY", "KAFKA_SASL_PASSWORD"])
def test_a_file_at_fault_is_named_by_its_variable_alone(tmp_path, name, what, file):
    variable = f"HOLDFAST_{name}_FILE"
    with pytest.raises(ConfigError) as fault:
        config.load({variable: file(tmp_path)})
    assert str(fault.value).startswith(f"{variable}: the file {what}")
    # Somebody may have put the secret where its file's name belongs.
    assert MARK not in str(fault.value)
    assert str(tmp_path) not in str(fault.value)


@pytest.mark.parametrize("name", ["FASTLY_KEY", "KAFKA_SASL_PASSWORD"])
def test_a_secret_that_is_set_twice_is_an_error(environment, tmp_path, name):
    environment(**{name: MARK, f"{name}_FILE": write(tmp_path, b"another")})
    with pytest.raises(ConfigError) as fault:
        config.load()
    assert str(fault.value) == (
        f"HOLDFAST_{name}_FILE: HOLDFAST_{name} is set, too; one of them has to go"
    )


def test_what_a_file_says_wrong_is_blamed_on_the_files_variable(environment, tmp_path):
    environment(GRIP_URL_FILE=write(tmp_path, b"ftp://x"))
    with pytest.raises(ConfigError, match=r"^HOLDFAST_GRIP_URL_FILE: "):
        config.load()


# -- librdkafka


def test_any_setting_of_librdkafka_reaches_a_client(environment):
    environment(
        KAFKA="broker:1",
        KAFKA_REPLICATION="3",  # Holdfast's own
        KAFKA_SECURITY_PROTOCOL="SASL_SSL",
        KAFKA_SASL_MECHANISM="PLAIN",
        KAFKA_SASL_USERNAME="me",
        KAFKA_SASL_PASSWORD=MARK,
        KAFKA_LOG_LEVEL="0",
        KAFKA_LINGER_MS="20",
        KAFKA_CLIENT_RACK="",
    )
    settings = config.load()
    assert settings.kafka_replication == 3
    assert settings.cluster.client({"acks": "all", "linger.ms": 0}) == {
        "bootstrap.servers": "broker:1",
        "acks": "all",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "me",
        "sasl.password": MARK,
        "log_level": "0",
        "linger.ms": "20",
    }
    assert MARK not in f"{settings!r} {settings} {settings.cluster!r}"


def test_what_holdfast_rests_on_can_not_be_changed(environment):
    for name in ("ACKS", "ENABLE_IDEMPOTENCE", "GROUP_ID", "GROUP_PROTOCOL", "ISOLATION_LEVEL"):
        with pytest.raises(ConfigError, match=f"^HOLDFAST_KAFKA_{name}: (Holdfast's|it is)"):
            config.load({f"HOLDFAST_KAFKA_{name}": "0"})


def test_settings_that_fail_only_together_are_named(environment):
    environment(KAFKA_SECURITY_PROTOCOL="SSL", KAFKA_SSL_CA_LOCATION="/no/such/file")
    with pytest.raises(ConfigError, match=r"^HOLDFAST_KAFKA_SSL_CA_LOCATION: "):
        config.load()
    environment(
        KAFKA_SECURITY_PROTOCOL="SASL_SSL", KAFKA_SSL_CA_LOCATION="", KAFKA_SASL_PASSWORD=MARK
    )
    with pytest.raises(ConfigError, match=r"^HOLDFAST_KAFKA_.*sasl") as fault:
        config.load()
    assert MARK not in str(fault.value)


def test_the_address_of_the_brokers_is_the_clusters():
    assert Cluster("a:1").client() == {"bootstrap.servers": "a:1"}


@pytest.fixture(scope="module")
def properties(tmp_path_factory):
    """librdkafka's own list of its settings: name to range."""
    file = tmp_path_factory.mktemp("librdkafka") / "properties"
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(libc.fopen(str(file).encode(), b"w"))
    ctypes.CDLL(confluent_kafka.cimpl.__file__).rd_kafka_conf_properties_show(handle)
    libc.fclose(handle)
    lines = [line.split("|", 3) for line in file.read_text().splitlines() if "|" in line]
    return {
        cells[0].strip(): "".join(cells[1:])
        for cells in lines
        if re.fullmatch(r"[a-z_.]+", cells[0].strip())
    }


def test_every_setting_of_librdkafka_has_a_variable_of_its_own(properties):
    assert len(properties) > 150
    others = {name for name in properties if kafka.setting(kafka.variable(name)) != name}
    # C functions and pointers, which no text can be.
    assert {
        name
        for name in others
        if not name.endswith(("_cb", "_cmp", "_conf", "_data", "_events"))
        and name not in ("ssl_key", "ssl_certificate", "ssl_ca")
    } == set()


def test_no_setting_of_holdfast_hides_one_of_librdkafka(properties):
    own = {config.variable(name) for name in config.NAMES}
    assert not own & {kafka.variable(name) for name in properties if "." in name}


def test_the_settings_that_end_in_file_are_known(properties):
    assert {name for name in properties if name.endswith(".file")} == kafka.FILES


def test_what_is_kept_exists(properties):
    assert set(kafka.KEPT) - set(properties) == {"logger", "test.mock.num.brokers"}


def test_every_client_of_kafka_is_made_by_the_cluster():
    """One that is not would miss the password."""
    made = []
    for folder in ("holdfast", "origin", "publisher"):
        for file in (REPO / folder).rglob("*.py"):
            if file != REPO / "holdfast" / "kafka.py":
                made += re.findall(
                    r"\b(?:Consumer|Producer|AdminClient)\((\s*\S+)", file.read_text()
                )
    assert len(made) == 10
    assert all(".client(" in call for call in made), made


@pytest.mark.parametrize("client", [Consumer, Producer])
def test_a_client_takes_what_the_cluster_says(client):
    extra = {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "log_level": "0"}
    extra |= {"sasl.username": "me", "sasl.password": MARK}
    client(Cluster("127.0.0.1:1", extra).client({"group.id": "x"}))
