"""supervisord's event listener: notes what happens to each part, and ends a hopeless stack.

Started by supervisord (http://supervisord.org/events.html). Writes DIR/events.jsonl.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from supervisor import childutils

from stack.alone import end_abandoned


def main() -> None:
    folder = Path(sys.argv[1])
    with (folder / "events.jsonl").open("a", buffering=1) as events:
        while True:
            headers, payload = childutils.listener.wait()
            name, _, state = headers["eventname"].rpartition("_")
            if name == "PROCESS_STATE":
                fields = dict(pair.split(":", 1) for pair in payload.split())
                event = {
                    "at": time.time(),
                    "part": fields["processname"],
                    "state": state.lower(),
                    "from": fields["from_state"].lower(),
                    "pid": int(fields.get("pid", 0)),
                    "expected": fields.get("expected", "1") == "1",
                }
                events.write(json.dumps(event) + "\n")
                if state == "EXITED":
                    end_leftovers(folder, fields["processname"], int(fields["pid"]))
                if state == "FATAL":
                    # It died again and again: better no stack than half a one.
                    os.kill(os.getppid(), signal.SIGTERM)
            childutils.listener.ok()


def end_leftovers(folder: Path, part: str, leader: int) -> None:
    """End what a dead leader left behind: it keeps ports that the next one needs."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
    end_abandoned(folder, part, os.getppid())


if __name__ == "__main__":
    main()
