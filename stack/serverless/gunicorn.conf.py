"""gunicorn's settings for the bridge: a thread for each request that waits for an environment."""

from __future__ import annotations

worker_class = "gthread"
workers = 1  # the pool is one
threads = 256
backlog = 2048
keepalive = 75
graceful_timeout = 10
limit_request_line = 0
limit_request_field_size = 32_768
accesslog = None
control_socket_disable = True
