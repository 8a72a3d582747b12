"""Long-polls: an answer that Pushpin holds back until the next release (GRIP's `http-response`)."""

from __future__ import annotations

import re
from typing import Any

from holdfast.snapshots import Snapshot

LONGEST_WAIT_S = 120
# Pushpin drops an item at a poll with this filter if its meta names a channel which that poll is
# not on. So a confirm leaves in peace who is up to date: the chain was compared before.
FILTER = "require-sub"
CONFIRM_META = {"require_sub": "-"}
CONFIRM = {"body": ""}

_WAIT = re.compile(r"[1-9][0-9]?|1[01][0-9]|120")


def parse_wait(text: str) -> int | None:
    """Seconds, 1 to 120, as `?wait=` has them. None: it says anything else."""
    return int(text) if _WAIT.fullmatch(text) else None


def etag(snapshot: Snapshot) -> str:
    """The entity tag of a snapshot, without quotes."""
    return f"{snapshot.version}-json"


def release(snapshot: Snapshot) -> dict[str, Any]:
    """What a held poll is answered: the snapshot. Its other headers it has from the hold."""
    return {
        "headers": {"Content-Type": "application/json", "ETag": f'"{etag(snapshot)}"'},
        "body": snapshot.encode().decode(),
    }
