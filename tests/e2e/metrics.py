"""Reads the parts' /metrics."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
from prometheus_client.parser import text_string_to_metric_families


def metric(urls: Sequence[str], name: str, **labels: str) -> float:
    """The sum of a metric over `urls` and over all samples that have `labels`."""
    total = 0.0
    for url in urls:
        text = httpx.get(f"{url}/metrics", timeout=10).raise_for_status().text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    total += sample.value
    return total
