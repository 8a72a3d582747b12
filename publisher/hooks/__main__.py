"""`python -m publisher.hooks`: makes every client once, wires the parts, runs until SIGTERM."""

from __future__ import annotations

import logging
import sys
import time

import httpx

from holdfast import values
from holdfast.hook_guard import Guard
from holdfast.hook_states import HookState, HookStates
from holdfast.hooks import Hook
from holdfast.release_feed import ReleaseFeed
from holdfast.settings_mirror import SettingsMirror
from holdfast.state import State, connect
from publisher import health, process
from publisher.hooks.courier import Courier
from publisher.hooks.lease import Lease
from publisher.hooks.loop import Hooks
from publisher.hooks.sender import Sender
from publisher.hooks.worker import Worker

log = logging.getLogger("hooks")

STUCK_AFTER_S = 30.0


def main() -> int:
    settings, rules = process.configure("hooks", log, lambda it: values.load(it.values))
    stopping = process.until_signalled()

    client = connect(settings.redis_url)
    feed = ReleaseFeed(client, State(client), rules)
    states = HookStates(client)
    lease = Lease(states, settings.slot)
    guard = Guard(settings.webhook_allow)
    trust = httpx.create_ssl_context()  # SSL_CERT_FILE names others than certifi's

    def hire(hook: Hook, state: HookState, delivered: dict[str, int]) -> Worker:
        courier = Courier(
            hook,
            state,
            delivered,
            feed,
            states,
            Sender(hook.target, guard, trust).post,
            lease.left_s,
            settings.webhook_patience,
            time.monotonic,
            time.time,
            time.sleep,
        )
        return Worker(courier)

    hooks = Hooks(SettingsMirror(client), feed, states, lease, hire)
    if settings.metrics_port:
        health.serve(
            settings.metrics_host,
            settings.metrics_port,
            lambda: time.monotonic() - hooks.stepped_at < STUCK_AFTER_S,
        )

    log.info("delivering webhooks as %s", settings.slot)
    hooks.run(stopping)
    hooks.leave()
    log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
