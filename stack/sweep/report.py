"""The sweep for people and programs: a table, a CSV file, plots."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.prediction import Prediction, predict
from stack.sweep.step import Load, Measured

COLUMNS = (
    *("rate", "releases/s", "origin/s", "model", "hits", "purges/s", "deliveries/s"),
    *("age p50, s", "model", "age p99, s", "model", "stale"),
)


def model_of(row: Measured, load: Load) -> Prediction:
    """What the model says for the load of this row."""
    return predict(row.rate, load.updates, (load.arrivals, load.readers))


def table_rows(rows: Sequence[Measured], load: Load) -> Iterator[tuple[str, ...]]:
    for row in rows:
        model = model_of(row, load)
        yield (
            name_of(row.rate),
            f"{row.releases:.1f}",
            f"{row.origin:.2f}",
            f"{model.origin:.2f}",
            f"{row.hit_ratio:.4f}",
            f"{row.purges:.1f}",
            f"{row.deliveries:,.0f}",
            f"{row.p50_age:.3f}",
            f"{model.p50_age:.3f}",
            f"{row.p99_age:.3f}",
            f"{model.p99_age:.3f}",
            str(row.stale),
        )


def name_of(rate: float) -> str:
    return "unlimited" if math.isinf(rate) else f"{rate:g}"


def write_csv(file: Path, rows: Sequence[Measured], load: Load) -> None:
    """One line per rate; everything that was measured, and the model's figures."""
    parts = sorted({part for row in rows for part in row.cores})
    plain = [name for name in Measured.__dataclass_fields__ if name != "cores"]
    model_names = list(Prediction.__dataclass_fields__)
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(
            [*plain, *(f"model_{name}" for name in model_names), *(f"cores_{p}" for p in parts)]
        )
        for row in rows:
            model = model_of(row, load)
            writer.writerow(
                [
                    *(getattr(row, name) for name in plain),
                    *(getattr(model, name) for name in model_names),
                    *(row.cores.get(part, 0.0) for part in parts),
                ]
            )


def plot(folder: Path, rows: Sequence[Measured], load: Load) -> list[Path]:
    """origin.png, age.png and cpu.png. HoldfastError without matplotlib (the dev extra has it)."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise HoldfastError("plots need matplotlib: pip install 'holdfast[dev]'") from error
    mpl.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    rates = [row.rate for row in rows]
    models = [model_of(row, load) for row in rows]
    # "unlimited" stands right of the fastest rate.
    fastest = max((rate for rate in rates if not math.isinf(rate)), default=1.0)
    places = [3 * fastest if math.isinf(rate) else rate for rate in rates]
    files: list[Path] = []

    def save(name: str, label: str) -> None:
        axes.set_xscale("log")
        axes.set_xticks(places, [name_of(rate) for rate in rates])
        axes.minorticks_off()
        axes.set_xlabel("releases per second that the bucket allows")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.legend()
        figure.tight_layout()
        figure.savefig(folder / name, dpi=120)
        pyplot.close(figure)
        files.append(folder / name)

    figure, axes = pyplot.subplots(figsize=(7, 4))
    axes.plot(places, [row.origin for row in rows], "o-", label="measured")
    axes.plot(places, [model.origin for model in models], "--", label="model")
    axes.set_yscale("log")
    save("origin.png", "origin requests per second")

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for name, style in (("p50_age", "o-"), ("p99_age", "s-")):
        axes.plot(places, [getattr(row, name) for row in rows], style, label=f"{name[:3]} measured")
        axes.plot(
            places, [getattr(model, name) for model in models], "--", label=f"{name[:3]} model"
        )
    axes.set_yscale("log")
    save("age.png", "age of the value on screens, s")

    figure, axes = pyplot.subplots(figsize=(7, 4))
    parts = sorted(rows[0].cores)
    axes.stackplot(places, [[row.cores.get(p, 0.0) for row in rows] for p in parts], labels=parts)
    save("cpu.png", "cores in use")
    return files
