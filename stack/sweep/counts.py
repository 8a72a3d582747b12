"""What the parts of a stack have done so far, by their own metrics."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

import requests
from prometheus_client.parser import text_string_to_metric_families

from stack.load import cpu
from stack.stack import Stack

READ_ROUTES = frozenset({"/values/<name>"})


@dataclass(frozen=True, slots=True)
class Counts:
    """Since the parts' start. origin: requests for the value; hits, misses: at the edge."""

    origin: float
    releases: float
    purges: float
    hits: float
    misses: float
    cpu: Mapping[str, float]


def count(stack: Stack) -> Counts:
    """As the parts count themselves."""
    publishers = [_metrics(url) for url in stack.publisher_urls]
    origins = [_metrics(url) for url in stack.origin_urls]
    edges = [_varnish(stack, name) for name in stack.parts_of("varnish")]
    return Counts(
        origin=sum(_total(each, "holdfast_origin_requests", READ_ROUTES) for each in origins),
        releases=sum(_total(each, "holdfast_releases") for each in publishers),
        purges=sum(_total(each, "holdfast_purges") for each in publishers),
        hits=sum(each["MAIN.cache_hit"] for each in edges),
        misses=sum(each["MAIN.cache_miss"] for each in edges),
        cpu=cpu.of_stack(stack),
    )


Samples = list[tuple[str, Mapping[str, str], float]]


def _metrics(url: str) -> Samples:
    text = requests.get(f"{url}/metrics", timeout=10).text
    return [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def _total(samples: Samples, name: str, routes: frozenset[str] | None = None) -> float:
    return sum(
        value
        for found, labels, value in samples
        if found == f"{name}_total" and (routes is None or labels.get("route") in routes)
    )


def _varnish(stack: Stack, name: str) -> dict[str, float]:
    done = subprocess.run(
        ["varnishstat", "-n", str(stack.dir / name / "work"), "-1", "-j"],
        capture_output=True,
        check=True,
    )
    return {key: each["value"] for key, each in json.loads(done.stdout)["counters"].items()}
