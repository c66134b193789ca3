"""A run's baseline: its settings, and which one provides the TPRs for which seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pandas as pd

from core.datasets.spec import DataSpec
from core.experiment.baseline import DrawnRun, OtherSeedsBaseline, same_data
from core.experiment.config import UNSAMPLED, RunConfig, usual_epochs
from core.methods import METHODS
from storage.results.runs import RunRow

GROUPED = ("id", "seed", "group_sha", "status")  # columns of the list of runs that `by_seed` reads
READY = ("succeeded", "running", "queued")  # a baseline that has TPRs or will have them, in order of preference
NO_WEIGHTING = {"tpr": None, "tpr_support": None, "tpr_source": "", **UNSAMPLED}  # no given TPRs, sampler or late start


def by_seed(frame: pd.DataFrame, group_sha: str) -> dict[int, int]:
    """Seed -> run of a replicate group, among the runs in `frame` (see `storage.results.runs.list_runs`).

    Succeeded runs are preferred to running ones, these to queued ones; among equals the newest.
    """
    mine = frame[frame["group_sha"] == group_sha].sort_values("id", ascending=False)
    out: dict[int, int] = {}
    for status in READY:
        rows = mine[mine["status"] == status]
        for seed, number in zip(rows["seed"].tolist(), rows["id"].tolist(), strict=True):
            out.setdefault(int(seed), int(number))
    return out


def per_seed(
    frame: pd.DataFrame, drawn: Mapping[int, DrawnRun], row: RunRow, seeds: Iterable[int], spec: DataSpec
) -> dict[int, int | None]:
    """Seed -> the run whose TPRs it takes: `row` for its own seed, else its replicate with that seed; None without one.

    frame  the runs to choose from, as in `by_seed`; those on another version of the data are left out
    drawn  see `storage.results.runs.drawn_by`
    """
    older = [number for number, theirs in drawn.items() if not same_data(theirs.fingerprint, spec.fingerprint)]
    members = by_seed(frame[~frame["id"].isin(older)], row.group_sha) | {row.seed: row.id}
    return {seed: members.get(seed) for seed in seeds}


def another_seed(baseline: int, seed: int, seeds: Iterable[int], own_validation: bool) -> OtherSeedsBaseline | None:
    """The seeds that take the TPRs of a baseline with another seed; None where none does."""
    others = tuple(s for s in seeds if s != seed)
    return OtherSeedsBaseline(baseline, seed, others, own_validation) if others else None


def unweighted_method() -> str:
    """The baseline's method: it needs no evidence and has no parameters."""
    return next(m.key for m in METHODS if not m.needs and not m.params)


def unweighted(config: RunConfig) -> RunConfig:
    """The same run without a method, a sampler or a late start: its baseline."""
    method, own = unweighted_method(), METHODS[config.method].epochs
    epochs = (
        config.epochs if own is None else usual_epochs(method, config.recipe)
    )  # a short second stage continues from a full-length run
    return replace(config, method=method, params={}, epochs=epochs, **NO_WEIGHTING)
