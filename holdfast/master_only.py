"""Leaves a Redis that was demoted: after a failover the address may lead to another one.

A connection outlives what it was made for: behind a proxy or a Kubernetes service it stays with
the former master, which answers reads and refuses writes for as long as somebody asks.
"""

from __future__ import annotations

from typing import Any

import redis


class _MasterOnly:
    """Of a connection: a refusal to write ends it, and the next one is made anew."""

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]
        except redis.ReadOnlyError as error:
            self.disconnect()  # type: ignore[attr-defined]
            raise redis.ConnectionError("this Redis is no master any more") from error


def insist_on_master(client: redis.Redis) -> redis.Redis:
    """The same client; its connections, of whatever kind, end when they meet a replica."""
    pool = client.connection_pool
    kind = pool.connection_class
    pool.connection_class = type(f"MasterOnly{kind.__name__}", (_MasterOnly, kind), {})
    return client
