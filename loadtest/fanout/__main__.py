"""`python -m loadtest.fanout`: the table."""

from __future__ import annotations

import signal
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType

import click
from rich.console import Console
from rich.table import Table

from holdfast.errors import HoldfastError
from loadtest.fanout.chain import Chain
from loadtest.fanout.nchan import Nchan
from loadtest.fanout.probe import Round, Target, play
from loadtest.fanout.pushpin import BarePushpin
from stack.load import machine
from stack.temporary import temporary_stack

SOCKETS = "websockets at nginx"
TARGETS = ("bare pushpin", "nchan", "chain at pushpin", "chain at nginx", SOCKETS)


@click.command()
@click.option("--viewers", default=2000, show_default=True, type=click.IntRange(2, 15_000))
@click.option("--messages", default=10, show_default=True, help="One at a time.")
@click.option("--seconds", default=3.0, show_default=True, help="Of messages back to back.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1, 100))
@click.option("--processes", default=1, show_default=True, help="That the viewers are spread over.")
@click.option("--without", multiple=True, type=click.Choice(TARGETS))
def main(
    viewers: int,
    messages: int,
    seconds: float,
    rounds: int,
    processes: int,
    without: Sequence[str],
) -> None:
    """Fan a message out to many viewers, through Holdfast, bare Pushpin and nchan in turn."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    console = Console(stderr=True, highlight=False)
    results: dict[str, list[Round]] = {}
    try:
        with ExitStack() as opened:
            targets = _targets(opened, [name for name in TARGETS if name not in without])
            for number in range(1, rounds + 1):
                for name, target in targets.items():
                    result = play(target, viewers, messages, seconds, processes)
                    results.setdefault(name, []).append(result)
                    console.print(f"{number}/{rounds} {name}: {result}", markup=False)
    except HoldfastError as error:
        raise click.ClickException(str(error)) from error
    # Wide enough for the table, also where there is no terminal.
    out = Console(highlight=False, soft_wrap=True, width=max(120, console.width))
    out.print(machine.facts())
    out.print(_table(results))
    for name, of_it in results.items():
        shares = {
            part: statistics.median(r.shares[part] for r in of_it) for part in of_it[0].shares
        }
        words = ", ".join(f"{part} {share:.2f}" for part, share in shares.items())
        client = statistics.median(each.client for each in of_it)
        out.print(f"cores, back to back, {name}: {words}; viewers {client:.2f}", highlight=False)


def _targets(opened: ExitStack, names: Sequence[str]) -> dict[str, Target]:
    targets: dict[str, Target] = {}
    if "bare pushpin" in names:
        targets["bare pushpin"] = opened.enter_context(BarePushpin())  # type: ignore[assignment]
    if "nchan" in names:
        targets["nchan"] = opened.enter_context(Nchan())  # type: ignore[assignment]
    if any(name.startswith(("chain", "websockets")) for name in names):
        stack = opened.enter_context(temporary_stack())
        if "chain at pushpin" in names:
            targets["chain at pushpin"] = Chain(stack, stack.pushpin_url)
        if "chain at nginx" in names:
            targets["chain at nginx"] = Chain(stack, stack.url)
        if SOCKETS in names:
            targets[SOCKETS] = Chain(stack, stack.url.replace("http", "ws", 1))
    for target in targets.values():
        target.publish()
    return targets


def _table(results: dict[str, list[Round]]) -> Table:
    columns = (
        *("target", "connects/s", "ratio", "failed", "lost", "broadcast/s", "ratio"),
        *("last viewer, ms", "back to back/s"),
    )
    table = Table(*columns, box=None)
    bare = results.get("bare pushpin")
    for name, rounds in results.items():
        connects = statistics.median(each.connects for each in rounds)
        broadcast = statistics.median(each.broadcast for each in rounds)
        table.add_row(
            name,
            f"{connects:,.0f}",
            f"{connects / statistics.median(r.connects for r in bare):.2f}" if bare else "",
            str(sum(sum(each.failed.values()) for each in rounds)),
            str(sum(each.lost for each in rounds)),
            f"{broadcast:,.0f}",
            f"{broadcast / statistics.median(r.broadcast for r in bare):.2f}" if bare else "",
            f"{statistics.median(each.last_viewer_s for each in rounds) * 1000:.0f}",
            f"{statistics.median(each.storm for each in rounds):,.0f}",
        )
    return table


if __name__ == "__main__":
    main()
