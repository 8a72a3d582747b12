"""`python -m tests.simulation SEED`: replay one seed; `FIRST LAST`: a range of them."""

from __future__ import annotations

import logging
import sys
import time
import traceback

from tests.simulation.world import simulate

if __name__ == "__main__":
    logging.disable()
    first = int(sys.argv[1])
    last = int(sys.argv[2]) if len(sys.argv) > 2 else first
    started, bad = time.monotonic(), 0
    for seed in range(first, last + 1):
        try:
            simulate(seed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it goes with its seed
            bad += 1
            print(f"seed {seed}: {error!r}")
            if first == last:
                traceback.print_exc()
    print(f"{last - first + 1} seeds, {bad} bad, {time.monotonic() - started:.1f} s")
