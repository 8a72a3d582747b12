"""`python3 -m containers varnish|pushpin|websocket|nginx`: runs the part until it ends."""

from __future__ import annotations

import logging
import os
import resource
import sys

from containers.follow import follow
from containers.parts import PARTS


def main() -> int:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # Docker's soft limit is 1,024 files; a stream takes two in nginx.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    kind = sys.argv[1]
    try:
        part = PARTS[kind](os.environ)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{kind}: {error}\n")
        return 2
    return follow(part, part.peers)


if __name__ == "__main__":
    sys.exit(main())
