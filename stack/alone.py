"""Starts a part once nothing is left of the one before: `python -m stack.alone FOLDER PART ...`

Pushpin's children outlive a kill -9 of their parent for a moment. A new Pushpin that starts
meanwhile shares sockets with them: it then held streams that no publish ever reached.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from stack import orphans


def main() -> None:
    folder, part, *command = sys.argv[1:]
    end_abandoned(Path(folder), part, os.getppid())
    os.execvp(command[0], command)  # noqa: S606 - a list, never a shell string


def end_abandoned(folder: Path, part: str, supervisor: int) -> None:
    """SIGKILL what a dead leader of the part left behind; returns once it is gone."""
    # Each kill may leave children without a parent in turn.
    while left := orphans.abandoned(folder, part, supervisor):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.01)


if __name__ == "__main__":
    main()
