"""The main job without a browser: baseline and weighted run on MNIST-1D over a few seeds, then a table per class."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from sqlalchemy import Engine

from core.compare import Side, compare
from core.presets import FIRST
from storage import queue, results
from storage.launch import pair
from storage.sides import side
from terminal import table


def run(engine: Engine, seeds: int, epochs: int, wait_for: Callable[..., None]) -> None:
    """Queue the pairs, show their progress, then print what weighting did. `epochs` 0 keeps the preset's."""
    stamp = f"demo {time.strftime('%Y-%m-%d %H:%M:%S')}"
    change = {"epochs": epochs} if epochs else {}
    runs = []
    for seed in range(seeds):
        first, second = pair(
            replace(FIRST.baseline, seed=seed, **change), replace(FIRST.weighted, seed=seed, **change), FIRST.dataset_label, tags=stamp
        )
        runs += [first, replace(second, baseline_index=2 * seed)]
    print(f"{FIRST.label}: {seeds} seeds, a baseline and a weighted run each; about {seeds * FIRST.seconds} s on two cores.")
    ids = queue.submit(engine, runs)
    wait_for(engine, ids, quiet=False)
    before = [side(engine, results.get_run(engine, i)) for i in ids[::2]]
    after = [side(engine, results.get_run(engine, i)) for i in ids[1::2]]
    class_table(engine, before, after, ids[1::2])
    summary_table(before, after)
    print(compare(before[0], after[0], np.random.default_rng(0)).verdict)
    print(f"In the app: compare run {ids[0]} with run {ids[1]}.")


def spread(values: list[float], form: str = "{:.1f}", factor: float = 100.0) -> str:
    """Mean and, from two values on, the standard deviation (n - 1)."""
    mean = form.format(factor * float(np.mean(values)))
    return mean if len(values) < 2 else f"{mean} ± {form.format(factor * float(np.std(values, ddof=1)))}"


def class_table(engine: Engine, before: list[Side], after: list[Side], weighted: list[int]) -> None:
    """Test TPR before and after, in percent, and the weight of the second run; hardest class of the baseline first."""
    b, a = (np.array([s.tp / s.support for s in sides]) for sides in (before, after))
    weights = np.array([results.class_counts(engine, i, "test").weight for i in weighted])
    rows = [
        [before[0].classes[c], spread(b[:, c]), spread(a[:, c]), f"{100 * (a[:, c] - b[:, c]).mean():+.1f}", spread(weights[:, c], "{:.3f}", 1.0)]
        for c in np.argsort(b.mean(axis=0))
    ]
    n = len(before)
    table(("class", "TPR before, %", "TPR after, %", "change, points", "weight"), rows, f"Test split, mean ± standard deviation over {n} seeds")


def summary_table(before: list[Side], after: list[Side]) -> None:
    """Accuracy, TPR variance and lowest TPR on the test split."""
    rows = []
    for label, name, form, factor in (
        ("accuracy, %", "accuracy", "{:.1f}", 100.0), ("TPR variance", "tpr_variance", "{:.4f}", 1.0), ("min TPR, %", "tpr_min", "{:.1f}", 100.0),
    ):
        rows.append([label, *(spread([getattr(s.summary, name) for s in sides], form, factor) for sides in (before, after))])
    table(("summary", "before", "after"), rows)
