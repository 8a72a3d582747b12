"""What the end-to-end tests share beyond the stack."""

from __future__ import annotations

import pytest
import redis


@pytest.fixture
def redis_client(stack):
    with redis.Redis.from_url(stack.redis_url) as client:
        yield client
