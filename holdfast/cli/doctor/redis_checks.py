"""Redis: is it there, does it keep what it is told, and does its clock agree?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import redis

from holdfast.cli.doctor.findings import Finding, Site, fail, ok, skip, warn
from holdfast.state import connect

PART = "redis"
TESTED = (7, 0)
# Versions of releases are Redis's clock: behind by more than this and the age of everything is off.
CLOCK_WARN_S, CLOCK_FAIL_S = 0.5, 30.0
FULL = 0.9  # of maxmemory


def check_redis(site: Site) -> Iterator[Finding]:
    with connect(site.settings.redis_url) as client:
        try:
            info: Any = client.info()
        except redis.RedisError as error:
            yield fail(PART, f"can't be asked: {error}", "start it, or correct HOLDFAST_REDIS_URL")
            return
        yield _version(info)
        yield from _memory(info)
        yield _written(info)
        yield _clock(client)
        yield from _configuration(client)


def _version(info: Any) -> Finding:
    version = str(info["redis_version"])
    numbers = tuple(int(number) for number in version.split(".")[:2])
    if numbers < TESTED:
        return warn(PART, f"version {version}", "Holdfast is tested with 7.0 and later: upgrade it")
    return ok(PART, f"version {version}, {info.get('connected_slaves', 0)} replicas")


def _memory(info: Any) -> Iterator[Finding]:
    used, most = int(info["used_memory"]), int(info.get("maxmemory", 0))
    if not most:
        return
    share = used / most
    if share > FULL:
        yield fail(
            PART,
            f"{share:.0%} of maxmemory is used",
            "raise maxmemory: when it is full, updates are no longer applied",
        )
    else:
        yield ok(PART, f"{share:.0%} of maxmemory is used")


def _written(info: Any) -> Finding:
    for name in ("aof_last_write_status", "rdb_last_bgsave_status"):
        if info.get(name, "ok") != "ok":
            return fail(PART, f"{name} is {info[name]}", "look at its disk and its log")
    return ok(PART, "writes to its disk succeed")


def _clock(client: redis.Redis) -> Finding:
    before = time.time()
    reply: Any = client.time()
    after = time.time()
    # The truth lies within the round trip.
    skew_s = max(before - (now := reply[0] + reply[1] / 1e6), now - after, 0.0)
    detail = f"its clock is {skew_s:.3f} s away from the one here"
    advice = "run NTP on both machines"
    if skew_s > CLOCK_FAIL_S:
        return fail(PART, detail, f"{advice}: versions of releases are Redis's clock")
    return warn(PART, detail, advice) if skew_s > CLOCK_WARN_S else ok(PART, detail)


def _configuration(client: redis.Redis) -> Iterator[Finding]:
    try:
        config: Any = client.config_get("appendonly", "maxmemory-policy", "appendfsync")
    except redis.ResponseError as error:
        yield skip(PART, f"does not show its configuration ({error}): see docs/deploying.md")
        return
    policy = config.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        yield fail(
            PART,
            f"maxmemory-policy is {policy}",
            "set it to noeviction: Redis would throw values away",
        )
    else:
        yield ok(PART, "maxmemory-policy is noeviction")
    if config.get("appendonly") != "yes":
        yield warn(
            PART,
            "appendonly is off",
            "turn it on: each restart replays Kafka from the start, and nothing is released before",
        )
    else:
        yield ok(PART, f"appendonly is on, appendfsync {config.get('appendfsync')}")
