"""Figures of a small service, for tests that need some."""

from __future__ import annotations

from typing import Any

from holdfast.overview import (
    BudgetFigures,
    EdgeFigures,
    Overview,
    PartitionFigures,
    PushpinFigures,
    Totals,
    ValueFigures,
)

NOW_MS = 1_764_000_000_000


def value(name: str = "counter", **changes: Any) -> ValueFigures:
    figures: dict[str, Any] = {
        "name": name,
        "reduce": "sum",
        "default": name == "counter",
        "working": "43",
        "released": "42",
        "version": NOW_MS - 500,
        "released_at_ms": NOW_MS - 500,
        "behind_s": 0.4,
        "updates_per_s": 20.0,
        "releases_per_s": 1.0,
        "tokens": 0.5,
        "rate": 1.0,
        "burst": 1,
        "threshold": 0.0,
        "settle": 0.0,
        "paused_by": None,
        "waits_for_budget": False,
    }
    return ValueFigures(**{**figures, **changes})


def edge(name: str = "Edge 1", **changes: Any) -> EdgeFigures:
    figures: dict[str, Any] = {
        "name": name,
        "url": "http://edge:6081",
        "p50_ms": 1.0,
        "p99_ms": 2.0,
        "sent_per_s": 1.0,
        "failed_last_minute": 0,
        "owed_since_ms": None,
        "requests_per_s": 100.0,
        "misses_per_s": 1.5,
        "origin_requests_per_s": 2.0,
        "hit_ratio": 0.98,
    }
    return EdgeFigures(**{**figures, **changes})


def pushpin(name: str = "Pushpin 1", **changes: Any) -> PushpinFigures:
    figures: dict[str, Any] = {
        "name": name,
        "url": "http://pushpin:5561",
        "p50_ms": 1.0,
        "p99_ms": 2.0,
        "sent_per_s": 1.0,
        "failed_last_minute": 0,
        "owed_since_ms": None,
        "viewers": 7,
        "deliveries_per_s": 7.0,
    }
    return PushpinFigures(**{**figures, **changes})


def partition(number: int = 0, **changes: Any) -> PartitionFigures:
    figures: dict[str, Any] = {
        "topic": "updates",
        "number": number,
        "lag": 0,
        "reader": "publisher-1",
        "caught_up": True,
    }
    return PartitionFigures(**{**figures, **changes})


def budget(**changes: Any) -> BudgetFigures:
    figures: dict[str, Any] = {
        "per_second": None,
        "per_hour": None,
        "left_second": None,
        "left_hour": None,
        "waiting": 0,
    }
    return BudgetFigures(**{**figures, **changes})


def overview(**changes: Any) -> Overview:
    figures: dict[str, Any] = {
        "at_ms": NOW_MS,
        "slot": "publisher-1",
        "publishers": ["publisher-1"],
        "totals": Totals(1, 20.0, 1.0, 0.4, 0, 7, 7.0, 0.98, 2.0, 1.5, 2.0, 2.0),
        "alerts": [],
        "values": [value()],
        "edges": [edge()],
        "pushpins": [pushpin()],
        "partitions": [partition()],
        "budget": budget(),
    }
    return Overview(**{**figures, **changes})
