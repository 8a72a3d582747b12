"""docker-compose.yml and the images, as far as they can be checked without Docker.

That they work was tried on a real engine: docs/compose.md.
"""

from __future__ import annotations

import re
import shlex

import pytest
import yaml

from holdfast.config import Settings
from stack.layout import REPO

COMPOSE = yaml.safe_load((REPO / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (REPO / "containers" / "Dockerfile").read_text()
# They end by themselves: no health, no restart.
ONCE = {name for name, service in SERVICES.items() if service.get("restart") == "no"}
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("holdfast")}


def every_service(function):
    return pytest.mark.parametrize("name", SERVICES)(function)


def stages():
    """The Dockerfile's stages: name to (base, instructions)."""
    text = re.sub(r"\\\n", " ", DOCKERFILE)
    found = {}
    for block in re.split(r"^(?=FROM )", text, flags=re.M)[1:]:
        first, *rest = [line for line in block.splitlines() if line and line[0] != "#"]
        _, base, _, name = first.split()
        found[name] = (base, rest)
    return found


def instructions(stage):
    """Of a stage and those it is built on."""
    base, lines = stages()[stage]
    return (instructions(base) if base in stages() else []) + lines


def packages(lines):
    text = "\n".join(lines)
    return {
        word
        for names in re.findall(r"apt-get install -y --no-install-recommends ([a-z0-9 -]+)", text)
        for word in names.split()
    }


@every_service
def test_nobody_has_rights_and_only_kafka_writes_into_its_image(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("read_only", False) == (name != "kafka")
    assert "privileged" not in service
    assert "cap_add" not in service


@every_service
def test_memory_is_limited(name):
    assert re.fullmatch(r"\d+[mg]", SERVICES[name]["mem_limit"])


@every_service
def test_what_runs_on_says_whether_it_is_healthy_and_is_started_again(name):
    service = SERVICES[name]
    if name in ONCE:
        assert "healthcheck" not in service
    else:
        assert service["healthcheck"]["test"]
        assert service["restart"] == "unless-stopped"


def test_the_start_goes_by_health():
    needed = set()
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            needed.add(other)
            wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
            assert how == {"condition": wanted}, other
    # `up --wait` fails on one that ends and that nobody waits for.
    assert needed >= ONCE


def test_only_the_front_door_is_published_and_on_loopback():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"nginx": ["127.0.0.1:8080:8080"]}


def test_the_state_is_on_a_network_without_a_way_out():
    assert COMPOSE["networks"]["state"] == {"internal": True}
    for name in ("kafka", "redis"):
        assert SERVICES[name]["networks"] == ["state"]
    for name in ("nginx", "varnish", "pushpin", "websocket"):
        assert "state" not in SERVICES[name]["networks"]


def test_there_is_no_secret():
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not re.search(r"(KEY|PASSWORD|TOKEN|SECRET)$", name), name
            assert not re.search(r"://[^/]*:[^/]*@", str(value)), name
    text = (REPO / "docker-compose.yml").read_text() + DOCKERFILE
    assert not re.search(r"[0-9a-f]{32}|[A-Za-z0-9+/]{40}", text)


def test_the_settings_are_some():
    for service in SERVICES.values():
        for name in service.get("environment", {}):
            if name.startswith("HOLDFAST_"):
                field = name.removeprefix("HOLDFAST_").removesuffix("_FILE").lower()
                assert field in Settings.model_fields


def test_every_image_is_built_once_or_is_kafkas():
    built = {}
    for name, service in SERVICES.items():
        if "build" in service:
            assert service["image"] not in built.values(), "the second build would be another image"
            assert service["build"]["target"] in stages()
            assert (REPO / service["build"]["dockerfile"]).is_file()
            built[name] = service["image"]
        elif name == "kafka":
            assert service["image"] == "apache/kafka:4.1.0"
        else:
            assert service["pull_policy"] == "never"
    assert {SERVICES[name]["image"] for name in OURS} == set(built.values())


def test_images_are_of_debian_and_of_nothing_that_moves_or_is_pinned():
    bases = {base for base, _ in stages().values() if base not in stages()}
    assert bases == {"debian:bookworm-slim"}
    assert "# syntax" not in DOCKERFILE
    assert "@sha256" not in DOCKERFILE + (REPO / "docker-compose.yml").read_text()


def test_no_image_runs_as_root():
    for name in OURS:
        target = SERVICES[name].get("build", {}).get("target", "holdfast")
        users = [line.split()[1] for line in instructions(target) if line.startswith("USER ")]
        assert users[-1:] == ["holdfast"], name
    assert SERVICES["kafka"]["user"] == "appuser"


def test_the_packages_are_those_that_the_demo_installs():
    setup = (REPO / "scripts" / "setup").read_text()
    listed = set(shlex.split(re.search(r"^packages=\((.*?)\)", setup, re.M | re.S)[1]))
    everything = set().union(*(packages(lines) for _, lines in stages().values()))
    # python3 is what Debian's python3-venv is for.
    assert everything - {"python3"} <= listed
    assert {"varnish", "varnish-modules", "pushpin", "nginx", "redis-server"} <= everything


def test_what_is_copied_is_there_and_not_ignored():
    ignored = (REPO / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert "*" in ignored
    for _, lines in stages().values():
        for line in lines:
            words = line.split()
            if words[0] != "COPY" or words[1].startswith("--from"):
                continue
            for source in words[1:-1]:
                assert (REPO / source).exists(), source
                assert source.split("/")[0] in allowed, source


def test_varnish_may_run_what_it_compiles():
    mount = next(each for each in SERVICES["varnish"]["tmpfs"] if each.startswith("/run/holdfast:"))
    assert "exec" in mount.partition(":")[2].split(",")


def test_files_are_files():
    for config in COMPOSE["configs"].values():
        assert list(config) == ["file"]
        assert (REPO / config["file"]).is_file()


def test_kafka_is_as_in_the_demo():
    """What the demo's broker decides, this one decides alike; addresses and paths aside."""
    own = {"node.id", "log.dirs"}
    lines = (REPO / "stack" / "kafka" / "server.properties").read_text().splitlines()
    demo = dict(line.split("=", 1) for line in lines if line and line[0] != "#")
    demo = {name: value for name, value in demo.items() if "$" not in value and name not in own}
    here = {
        name.removeprefix("KAFKA_").replace("_", ".").lower(): str(value)
        for name, value in SERVICES["kafka"]["environment"].items()
    }
    assert demo.items() <= here.items()
