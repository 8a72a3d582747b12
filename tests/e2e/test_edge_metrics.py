"""What each Varnish counts, in Prometheus's format."""

from __future__ import annotations

from stack.stack import Stack
from tests.e2e.metrics import metric
from tests.e2e.viewers import snapshot, until


def _hits(stack: Stack) -> float:
    # The exporter's counters have no _total; prometheus_client's parser adds it.
    return metric(stack.edge_metrics_urls[:1], "varnish_main_cache_hit_total")


def test_an_edge_counts_its_hits_and_says_whether_its_origins_are_up(stack):
    assert len(stack.edge_metrics_urls) == len(stack.varnish_urls)
    edge = stack.varnish_urls[0]
    snapshot(edge, "counter")
    before = _hits(stack)
    for _ in range(3):
        snapshot(edge, "counter")
    until(lambda: _hits(stack) >= before + 3, "three hits", 30)
    urls = stack.edge_metrics_urls
    assert metric(urls, "varnish_backend_up", backend="origin_1") == len(urls)
