"""Is it ready? One short attempt each; False whatever goes wrong."""

from __future__ import annotations

import httpx
import redis

from stack.ports import listens


def tcp(port: int) -> bool:
    """Something accepts connections."""
    return listens(port)


def http(port: int, path: str) -> bool:
    """GET answers 200."""
    return get(f"http://127.0.0.1:{port}{path}")


def get(url: str) -> bool:
    """GET answers 200. Any certificate will do: it is a part of our own, on this machine."""
    try:
        answer = httpx.get(url, timeout=2, verify=False, trust_env=False)  # noqa: S501
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


def redis_ping(port: int) -> bool:
    """PING is answered, so the append-only file is loaded."""
    try:
        with redis.Redis(port=port, socket_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
