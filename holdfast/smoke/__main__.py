"""The command line of scripts/smoke."""

from __future__ import annotations

import argparse
import shlex
import sys

from holdfast.smoke.checks import Smoke
from holdfast.smoke.report import Report
from holdfast.smoke.site import Site

COMPOSE = ("docker compose stop origin", "docker compose start origin")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/smoke",
        description="Look at a running deployment from outside. Exits with 1 when a check fails.",
    )
    parser.add_argument("url", help="the front door, such as http://127.0.0.1:8080")
    parser.add_argument(
        "--value", default="counter", help="the default value, a sum (default: %(default)s)"
    )
    parser.add_argument(
        "--viewers",
        type=int,
        default=6,
        help="held at once, more than there are Pushpins (default: %(default)s)",
    )
    parser.add_argument(
        "--hold",
        type=float,
        default=25.0,
        metavar="S",
        help="how long streams must live; a comment comes every 20 s; 0 = don't look "
        "(default: %(default)g)",
    )
    parser.add_argument("--ca", metavar="FILE", help="certificates to trust, PEM")
    parser.add_argument(
        "--compose", action="store_true", help="stop the origins with docker compose meanwhile"
    )
    parser.add_argument("--stop-origins", metavar="COMMAND", help="stop them with this one")
    parser.add_argument("--start-origins", metavar="COMMAND", help="and start them with this")
    options = parser.parse_args()
    stop, start = options.stop_origins or "", options.start_origins or ""
    if options.compose:
        stop, start = COMPOSE
    if bool(stop) != bool(start):
        parser.error("--stop-origins and --start-origins go together")
    try:
        site = Site(options.url, options.ca)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    report = Report()
    smoke = Smoke(site, report, options.value, options.viewers)
    smoke.run(options.hold, shlex.split(stop), shlex.split(start))
    return 0 if report.end() else 1


if __name__ == "__main__":
    sys.exit(main())
