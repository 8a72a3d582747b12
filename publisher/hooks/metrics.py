"""What the webhooks' process counts. There are at most 100 hooks, so they are a label."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

DELIVERIES = Counter(
    "holdfast_hook_deliveries_total",
    "Requests to webhooks' receivers: ok, failed (by status or none), refused (by the guard)",
    ["hook", "result"],
)
SECONDS = Histogram("holdfast_hook_seconds", "Time that a receiver took to answer", ["hook"])
OWED = Gauge("holdfast_hook_owed", "Values whose newest release a receiver waits for", ["hook"])
HOOKS = Gauge("holdfast_hooks", "Webhooks by how they stand", ["state"])
LEADS = Gauge("holdfast_hooks_leading", "1 while this process is the one that delivers")


def forget(hook_id: str) -> None:
    """The hook is no more."""
    for result in ("ok", "failed", "refused"):
        DELIVERIES.remove(hook_id, result)
    SECONDS.remove(hook_id)
    OWED.remove(hook_id)
