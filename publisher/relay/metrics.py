"""What the relay counts, beside what its nodes and Kafka clients do (publisher/metrics.py)."""

from __future__ import annotations

from prometheus_client import Counter

RELAYED = Counter("holdfast_relayed_total", "Records relayed as events", ["topic"])
ITEMS = Counter("holdfast_relay_items_total", "Items sent to Pushpin, one per batch or key")
CONFIRMS = Counter("holdfast_relay_confirms_total", "Confirms sent")
REWINDS = Counter(
    "holdfast_relay_rewinds_total", "Partitions read again from where Redis stands", ["topic"]
)
GAPS = Counter(
    "holdfast_relay_gaps_total", "Times that records were gone before they were relayed", ["topic"]
)
SKIPPED = Counter("holdfast_relay_skipped_total", "Batches that a slow node was not sent", ["node"])
