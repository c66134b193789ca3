"""The results table of the README: every method on MNIST-1D, each seed against its own baseline, test split.

    EVENLY_DATA=/tmp/evenly-table python -m benchmarks.mnist1d_methods --seeds 10

Trains in this process (about 6 s a run on one core); a second call goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import pandas as pd

from core.noise import mean_interval
from core.presets import FIRST
from storage import queue, results
from storage.launch import new_run
from worker import Worker

TRIED = (
    ("tpr_ratio", {"exponent": 1.0}), ("tpr_ratio", {"exponent": 2.0}), ("tpr_ratio", {"exponent": 4.0}), ("tpr_deficit", {"tau": 1.0}),
    ("cdb", {"tau": 1.0}), ("cdb", {"tau": "dynamic"}), ("focal", {"gamma": 2.0}),
)


def submissions(seeds: int) -> list[queue.NewRun]:
    """A baseline and a run of every method for each seed."""
    runs = []
    for seed in range(seeds):
        base, place = new_run(replace(FIRST.baseline, seed=seed), FIRST.dataset_label), len(runs)
        runs.append(base)
        for method, params in TRIED:
            config = replace(FIRST.baseline, seed=seed, method=method, params=params)
            runs.append(new_run(config, FIRST.dataset_label, baseline_index=place, baseline_group=base.group_sha))
    return runs


def row(name: str, mine: pd.DataFrame, base: pd.DataFrame) -> str:
    """One line: mean ± standard deviation of the figures, and the paired change of the variance with its 95 % interval."""
    figures = [
        f"{factor * mine[key].mean():.{digits}f} ± {factor * mine[key].std():.{digits}f}"
        for key, factor, digits in (("accuracy", 100, 1), ("tpr_variance", 1, 4), ("tpr_min", 100, 1))
    ]
    mean, low, high = mean_interval((mine["tpr_variance"] - base["tpr_variance"]).to_numpy())
    change = "" if mine is base else f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"
    return f"| {name} | {' | '.join(figures)} | {change} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    with Worker() as worker:
        ids = queue.submit(worker.engine, submissions(seeds), submit_key=f"mnist1d-methods-{seeds}")
        worker.loop(drain=True)
        frame = results.list_runs(worker.engine, ids=ids, status="succeeded").sort_values("id")
    frame["what"] = frame["name"].str.removeprefix(f"{FIRST.dataset_label}: ").str.replace(r", seed \d+$", "", regex=True)
    base = frame[frame["method"] == FIRST.baseline.method].set_index("seed")
    print("| method | accuracy, % | TPR variance | min TPR, % | change of the variance (95 %) |\n|---|---|---|---|---|")
    for what in frame["what"].unique():
        mine = frame[frame["what"] == what].set_index("seed").loc[base.index]
        print(row(what, base if mine.equals(base) else mine, base))


if __name__ == "__main__":
    main()
