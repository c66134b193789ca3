"""The main workflow without a browser: baseline and weighted run on MNIST-1D over a few seeds, then a table per class."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from sqlalchemy import Engine

from commands.submit import note_findings
from commands.terminal import paragraph, table
from core.comparison.compare import compare
from core.comparison.side import Side
from core.datasets import describe
from core.experiment.presets import FIRST
from reporting import numbers, text
from services import run_time
from services.comparison import side
from services.submission import plan
from services.tpr_sources import TRAIN_FIRST, TprSource
from storage import results
from storage.db.paths import data_root
from storage.jobs import queue
from storage.results.runs import RunRow


def run(engine: Engine, seeds: int, epochs: int | None, wait_for: Callable[..., list[RunRow]]) -> None:
    """Queue the pairs, show their progress, then print what weighting changed. `epochs` None keeps the preset's.

    `wait_for(engine, ids, quiet=False)` returns the finished runs, or raises EvenlyError when one did not succeed.
    """
    stamp = f"demo {time.strftime('%Y-%m-%d %H:%M:%S')}"
    change = {} if epochs is None else {"epochs": epochs}
    weighted = replace(FIRST.weighted, **change)
    spec = describe(weighted.dataset, data_root())
    pairs = [plan(engine, weighted, spec, [seed], TprSource(TRAIN_FIRST), tags=stamp) for seed in range(seeds)]
    print(
        paragraph(f"{FIRST.label}: a baseline and a weighted run for {counted(seeds)}{lasts(engine, seeds, change)}."),
        flush=True,
    )
    note_findings(pairs[0], spec.label)  # seeds do not change them
    ids = [run_id for pair in pairs for run_id in queue.submit(engine, list(pair.rows))]
    rows = wait_for(engine, ids, quiet=False)
    before, after = (own_replicates([side(engine, row) for row in rows[first::2]]) for first in (0, 1))
    class_table(engine, before, after, rows[1::2])
    summary_table(before, after)
    print(paragraph(text.of(compare(before[0], after[0]).verdict)))
    print(
        paragraph(
            f"In the app: compare run {rows[0].id} with run {rows[1].id}; or here: python cli.py compare {rows[0].id} {rows[1].id}"
        )
    )


def lasts(engine: Engine, seeds: int, change: Mapping[str, int]) -> str:
    """The estimated duration, from earlier runs on this machine; without any, the preset's range if the epochs are its own."""
    pair_of = [replace(config, **change) for config in (FIRST.baseline, FIRST.weighted)]
    measured = run_time.seconds_for(results.list_runs(engine, archived=None), pair_of)
    if measured is not None:
        return f"; about {numbers.rough(seeds * measured)}, estimated from earlier runs"
    if change:
        return ""
    least, most = (numbers.duration(seeds * seconds) for seconds in (FIRST.seconds, FIRST.most_seconds))
    return f"; {least} to {most}, depending on the machine"


def own_replicates(sides: list[Side]) -> list[Side]:
    """The sides with only each other as replicates.

    Runs of earlier demos enter neither the tables nor the verdict.
    """
    found = [s.own for s in sides]
    return [replace(s, replicates=found) for s in sides]


def counted(seeds: int) -> str:
    return "one seed" if seeds == 1 else f"each of {seeds} seeds"


def mean_with_sd(values: list[float], write: Callable[[float], str] = numbers.in_percent) -> str:
    """Mean and, from two values on, the standard deviation (n - 1)."""
    mean = write(float(np.mean(values)))
    return mean if len(values) < 2 else f"{mean} ± {write(float(np.std(values, ddof=1)))}"


def variance_with_sd(values: list[float]) -> str:
    """Mean and standard deviation of variances, with the digits that they need."""
    mean = float(np.mean(values))
    return numbers.variance(mean) if len(values) < 2 else numbers.variance_with_sd(mean, float(np.std(values, ddof=1)))


def class_table(engine: Engine, before: list[Side], after: list[Side], weighted: list[RunRow]) -> None:
    """Test TPR before and after, in percent, and the weight of the second run; hardest class of the baseline first."""
    b, a = (np.array([s.own.tpr for s in sides]) for sides in (before, after))
    weights = np.array([results.class_counts(engine, row.id, "test").weight for row in weighted])
    rows = [
        [
            before[0].classes[c],
            mean_with_sd(b[:, c]),
            mean_with_sd(a[:, c]),
            numbers.signed_points(float((a[:, c] - b[:, c]).mean())),
            mean_with_sd(weights[:, c], numbers.weight),
        ]
        for c in np.argsort(b.mean(axis=0))
    ]
    title = "Test split" + (f", mean ± standard deviation over {len(before)} seeds" if len(before) > 1 else "")
    table(("class", "TPR before, %", "TPR after, %", "change, points", "weight"), rows, title)


def summary_table(before: list[Side], after: list[Side]) -> None:
    """Accuracy, TPR variance and lowest TPR on the test split."""
    rows = []
    for label, name, write in (
        ("accuracy, %", "accuracy", mean_with_sd),
        ("TPR variance", "tpr_variance", variance_with_sd),
        ("min TPR, %", "tpr_min", mean_with_sd),
    ):
        rows.append([label, *(write([getattr(s.summary, name) for s in sides]) for sides in (before, after))])
    table(("summary", "before", "after"), rows)
