"""`holdfast top`, drawn."""

from __future__ import annotations

import io
import json

from rich.console import Console

from holdfast.cli.top import screen
from holdfast.overview import Alert, encode
from tests.figures import NOW_MS, budget, edge, overview, partition, pushpin, value


def drawn(most=20, **changes):
    out = io.StringIO()
    Console(file=out, width=160).print(screen(json.loads(encode(overview(**changes))), most))
    return out.getvalue()


def test_everything_is_there():
    text = drawn(
        alerts=[Alert("bad", "Edge 2 has been owed a purge for 40 s")],
        values=[value(), value("note.a", released='"[bold]x"', paused_by="alice")],
        edges=[edge(), edge("Edge 2", owed_since_ms=NOW_MS - 40_000, hit_ratio=None)],
        budget=budget(left_second=3.0, left_hour=500.0),
    )
    for words in (
        "in 20/s   out 1.0/s   viewers 7",
        "hits 98 %",
        "budget 3",
        "PROBLEM Edge 2 has been owed a purge for 40 s",
        "[bold]x",
        "paused by alice",
        "for 40 s",
        "- hits, 100 requests/s",
        "7 viewers, 7.0 deliveries/s",
        "updates[0]",
    ):
        assert words in text


def test_what_is_not_known_and_what_is_not_shown_is_told():
    text = drawn(
        most=1,
        values=[value(), value("b")],
        pushpins=[pushpin(viewers=None, deliveries_per_s=None)],
        partitions=[partition(reader=None, lag=None)],
    )
    assert "b" not in [line.split()[0] for line in text.splitlines() if line.strip()]
    assert "- viewers, - deliveries/s" in text
    assert "nobody" in text
