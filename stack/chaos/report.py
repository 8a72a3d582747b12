"""The table of chaos, for people: in a terminal, and in docs/reliability.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from stack.chaos.check import Outcome

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
BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"


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


def write(file: Path, outcomes: Sequence[Outcome]) -> None:
    """Replace what stands between the two marks in `file` by the table."""
    text = file.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows(outcomes)]
    file.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}")
