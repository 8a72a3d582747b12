"""Reads the parts' /metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx
from prometheus_client.parser import text_string_to_metric_families


def metric(
    urls: Sequence[str],
    name: str,
    wanted: Callable[[dict[str, str]], bool] = lambda _: True,
    **labels: str,
) -> float:
    """The sum of a metric over `urls` and over all samples that have `labels` and are `wanted`."""
    total = 0.0
    for url in urls:
        text = httpx.get(f"{url}/metrics", timeout=10).raise_for_status().text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if (
                    sample.name == name
                    and labels.items() <= sample.labels.items()
                    and wanted(sample.labels)
                ):
                    total += sample.value
    return total
