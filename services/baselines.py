"""A run's baseline: its settings, and which one provides the TPRs for which seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from core.datasets.spec import DataSpec
from core.experiment.baseline import BaselineDiffers, DrawnRun, OtherSeedsBaseline, differences, same_data
from core.experiment.config import RunConfig, defaults, usual_epochs
from core.methods import METHODS, POSTHOC
from core.methods.no_weighting import UNWEIGHTED
from storage.results.runs import RunRow

GROUPED = ("id", "seed", "group_sha", "status")  # columns of the list of runs that `by_seed` reads
READY = ("succeeded", "running", "queued")  # a baseline that has TPRs or will have them, in order of preference
NO_WEIGHTING = defaults("sampling", "evidence")  # no given TPRs, sampler or late start


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


@dataclass(frozen=True, eq=False)
class DatasetRuns:
    """The runs on a dataset, to choose baselines from.

    frame  their list, see `storage.results.runs.list_runs`
    drawn  see `storage.results.runs.drawn_by`
    spec   of the dataset as it is now
    """

    frame: pd.DataFrame
    drawn: Mapping[int, DrawnRun]
    spec: DataSpec


def per_seed(runs: DatasetRuns, row: RunRow, seeds: Iterable[int]) -> dict[int, int | None]:
    """Seed -> the run whose TPRs it takes: `row` for its own seed, else its replicate with that seed; None without one.

    Runs on another version of the data are left out.
    """
    older = [i for i, theirs in runs.drawn.items() if not same_data(theirs.fingerprint, runs.spec.fingerprint)]
    members = by_seed(runs.frame[~runs.frame["id"].isin(older)], row.group_sha) | {row.seed: row.id}
    return {seed: members.get(seed) for seed in seeds}


@dataclass(frozen=True, eq=False)
class Candidates:
    """Succeeded runs on a dataset, newest first, as rows of `DatasetRuns.frame`.

    alike    those with the same data settings and model
    others   the rest
    differs  id of one of the others -> how it differs; None where its settings are not read yet
    """

    alike: pd.DataFrame
    others: pd.DataFrame
    differs: Mapping[int, BaselineDiffers | None]


def candidates(runs: DatasetRuns, config: RunConfig) -> Candidates:
    """Split the runs into baselines for `config` and others."""
    frame = runs.frame[(runs.frame["status"] == "succeeded") & ~runs.frame["archived"]]
    frame = frame.sort_values("id", ascending=False)
    found = {  # a run queued since `drawn` was read is not in it
        number: differences(config, runs.spec, runs.drawn[number]) if number in runs.drawn else None
        for number in frame["id"].tolist()
    }
    same = frame["id"].isin([number for number, differs in found.items() if differs is not None and not differs])
    return Candidates(frame[same], frame[~same], found)


def trained(alike: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The runs with this seed and a trained network; a post-hoc step has no network of its own."""
    posthoc = {m.key for m in METHODS if m.stage == POSTHOC}
    return alike[(alike["seed"] == seed) & ~alike["method"].isin(posthoc)]


def preset(alike: pd.DataFrame, seed: int) -> str | None:
    """Id of the newest unweighted run's replicate with this seed, or of that run itself; None without an unweighted run."""
    plain = alike[alike["method"] == UNWEIGHTED]
    if plain.empty:
        return None
    newest = plain.iloc[0]
    return str(by_seed(plain, newest["group_sha"]).get(seed, int(newest["id"])))


def another_seed(baseline: int, seed: int, seeds: Iterable[int], own_validation: bool) -> OtherSeedsBaseline | None:
    """The seeds that take the TPRs of a baseline with another seed; None where none does."""
    others = tuple(s for s in seeds if s != seed)
    return OtherSeedsBaseline(baseline, seed, others, own_validation) if others else None


def unweighted(config: RunConfig) -> RunConfig:
    """The baseline of a run: its config without a method, a sampler or a late start."""
    short = METHODS[config.method].epochs is not None  # a short second stage continues from a full-length run
    epochs = usual_epochs(UNWEIGHTED, config.recipe) if short else config.epochs
    return replace(config, method=UNWEIGHTED, params={}, epochs=epochs, **NO_WEIGHTING)
