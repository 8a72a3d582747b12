"""What the publisher counts.

Labels are bounded: topics and nodes, and of values only those that HOLDFAST_METRICS_VALUES names.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_AGES = (
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.0,
    3.0,
    5.0,
    10.0,
    20.0,
    30.0,
    60.0,
    300.0,
    3600.0,
)

RESULTS = ("ok", "failed", "refused", "limited")

RECORDS = Counter("holdfast_records_total", "Kafka records read", ["topic"])
REJECTED = Counter("holdfast_rejected_total", "Records set aside as malformed", ["topic"])
DUPLICATES = Counter(
    "holdfast_duplicates_total", "Updates whose idempotency key was counted before", ["topic"]
)
IGNORED = Counter("holdfast_ignored_total", "Foreign records that update no value", ["topic"])
REWINDS = Counter("holdfast_rewinds_total", "Replays because Redis lost state", ["topic"])
REFUSED = Gauge("holdfast_partitions_refused", "Partitions that wait for an operator")
SETTINGS_READ = Gauge(
    "holdfast_settings_read",
    "1 while what operators set is read to its end; else nothing is released",
)
RELEASES = Counter("holdfast_releases_total", "Releases made")
AGE = Histogram(
    "holdfast_age_seconds",
    "From when Kafka took the oldest update of a release to when that was announced, s",
    buckets=_AGES,
)
# Only of values that HOLDFAST_METRICS_VALUES names: a million of them would fill Prometheus.
VALUE_RELEASES = Counter("holdfast_value_releases_total", "Releases announced", ["value"])
VALUE_AGE = Histogram("holdfast_value_age_seconds", "As age_seconds, s", ["value"], buckets=_AGES)
CONFIRMS = Counter("holdfast_confirms_total", "Confirms sent, one per value and node batch")
REDIS_ERRORS = Counter("holdfast_redis_errors_total", "Calls that Redis did not answer")
KAFKA_ERRORS = Counter("holdfast_kafka_errors_total", "Errors that the Kafka client reported")
PURGES = Counter("holdfast_purges_total", "Purge requests", ["node", "result"])
PUBLISHES = Counter("holdfast_publishes_total", "Publish requests", ["node", "result"])
NODE_SECONDS = Histogram(
    "holdfast_node_seconds", "Time a node took to answer, s", ["node"], buckets=_SECONDS
)
NODE_OWED = Gauge("holdfast_node_owed", "1 while the node is owed what it missed", ["node"])
VIEWERS = Gauge(
    "holdfast_viewers",
    "Connections that a Pushpin holds, at the publisher that counts them",
    ["node"],
)
PRESENCE_ERRORS = Counter(
    "holdfast_presence_errors_total", "Pushpins that were asked for their count in vain"
)
DNS_ERRORS = Counter("holdfast_dns_errors_total", "Names of nodes that could not be resolved")
PURGE_SPREAD = Histogram(
    "holdfast_purge_spread_seconds",
    "From the first edge's answer to a purge to the last one's, s",
    buckets=_SECONDS,
)


def begin(topics: Iterable[str]) -> None:
    """Show what is counted by topic from 0 on: who sees a series begin at 1 misses the 1."""
    for topic in topics:
        for metric in (RECORDS, REJECTED, DUPLICATES, IGNORED, REWINDS):
            metric.labels(topic)


def begin_node(node: str, counter: Counter) -> None:
    """The same of a node. counter: PURGES or PUBLISHES."""
    NODE_OWED.labels(node)
    NODE_SECONDS.labels(node)
    for result in RESULTS:
        counter.labels(node, result)


def forget(node: str) -> None:
    """Drop the series of a node that is gone."""
    for metric in (PURGES, PUBLISHES, NODE_SECONDS, NODE_OWED):
        metric.remove_by_labels({"node": node})
