"""The measuring commands work whole, at a small size: their figures are for large ones."""

from __future__ import annotations

import csv
import subprocess
import sys

from stack.layout import REPO
from tests.stack.command import COMMAND


def _run(*words: str) -> str:
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_sweep_tells_what_its_rates_cost_and_nobody_stays_stale(tmp_path):
    file = tmp_path / "sweep.csv"
    said = _run(
        str(COMMAND),
        "sweep",
        *("--rates", "2,unlimited", "--updates", "50", "--arrivals", "10", "--readers", "10"),
        *("--stay", "2", "--seconds", "4", "--origin-budget", "1000", "--age", "30"),
        *("--csv", str(file), "--plots", str(tmp_path)),
    )
    assert "for p99 within 30 s and at most 1000 origin requests/s: 2 releases/s" in said
    with file.open() as rows:
        slow, unlimited = csv.DictReader(rows)
    assert [slow["stale"], unlimited["stale"]] == ["0", "0"]
    assert [slow["went_back"], unlimited["went_back"]] == ["0", "0"]
    # Token buckets and counters are exact, whatever the machine does: 2/s, and one at the edges.
    assert 0 < float(slow["releases"]) * float(slow["seconds"]) <= 2 * float(slow["seconds"]) + 1
    assert float(slow["deliveries"]) > 0
    assert float(slow["p50_age"]) <= float(slow["p99_age"])
    assert {path.name for path in tmp_path.glob("*.png")} == {"origin.png", "age.png", "cpu.png"}


def test_the_fan_out_probe_loses_nobody_on_the_chain():
    said = _run(
        *(sys.executable, "-m", "loadtest.fanout", "--viewers", "100", "--messages", "3"),
        *("--rounds", "1", "--seconds", "1", "--without", "nchan"),
    )
    for name in ("chain at pushpin", "chain at nginx"):
        (row,) = (line for line in said.splitlines() if line.strip().startswith(name))
        # connects/s, ratio, failed, lost, ...
        assert row.split()[5:7] == ["0", "0"], said
