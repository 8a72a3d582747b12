"""The table of chaos, for people: in a terminal, and in docs/reliability.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from holdfast.errors import ConfigError
from stack.chaos.check import Outcome
from stack.chaos.spread import sentence as sentence_of_spreads

COLUMNS = (
    "part",
    "fault",
    "runs",
    "updates",
    "lost",
    "doubled",
    "longest silence, s",
    "time to recover, s",
    "broken promises",
)


def rows(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, ...]]:
    """One row for each part and fault, over all runs: sums of counts, the worst of times."""
    runs: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        runs.setdefault((outcome.part, outcome.fault), []).append(outcome)
    for (part, fault), of_it in runs.items():
        yield (
            part,
            fault,
            str(len(of_it)),
            f"{sum(outcome.updates for outcome in of_it):,}",
            str(sum(outcome.lost for outcome in of_it)),
            str(sum(outcome.doubled for outcome in of_it)),
            f"{max(outcome.silence_s for outcome in of_it):.1f}",
            f"{max(outcome.recovery_s for outcome in of_it):.1f}",
            str(sum(len(outcome.faults) for outcome in of_it)),
        )


def sentence(outcome: Outcome) -> str:
    """What one round has shown."""
    words = "good" if outcome.good else "; ".join(outcome.faults[:3]) or "lost or doubled"
    return (
        f"{words} ({outcome.updates} updates, {outcome.retries} retries, {outcome.lost} lost, "
        f"{outcome.doubled} doubled, silent {outcome.silence_s:.1f} s, "
        f"recovered in {outcome.recovery_s:.1f} s, {outcome.resets} resets)"
    )


def write(file: Path, name: str, outcomes: Sequence[Outcome]) -> None:
    """Replace what stands between the two marks of `name` in `file` by the table.

    Raises ConfigError when they are not there.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = file.read_text().partition(begin)
    _, found_too, after = rest.partition(end)
    if not (found and found_too):
        raise ConfigError(f"{file} has no {begin} and {end}")
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows(outcomes)]
    found_spreads = spreads(outcomes)
    if found_spreads:
        lines += ["", f"{sentence_of_spreads(found_spreads)}."]
    file.write_text(f"{before}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{after}")


def spreads(outcomes: Sequence[Outcome]) -> list[float]:
    """Of all purges of all rounds, s."""
    return [spread for outcome in outcomes for spread in outcome.spreads]
