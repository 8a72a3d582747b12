"""Is it ready? One short attempt each; False whatever goes wrong."""

from __future__ import annotations

import redis
import requests

from stack.ports import listens


def tcp(port: int) -> bool:
    """Something accepts connections."""
    return listens(port)


def http(port: int, path: str) -> bool:
    """GET answers 200."""
    try:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def redis_ping(port: int) -> bool:
    """PING is answered, so the append-only file is loaded."""
    try:
        with redis.Redis(port=port, socket_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
