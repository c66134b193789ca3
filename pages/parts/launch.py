"""What the pages add to storage.launch: replicates, the unweighted method, and the way into the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from core.errors import EvenlyError
from core.experiment.config import UNSAMPLED, RunConfig, from_dict
from core.experiment.recipes import RECIPES
from core.methods import METHODS
from pages.parts import reads
from storage.jobs.queue import NewRun, submit
from storage.launch import READY, new_run, pair
from storage.seeds import lacking

MOST_REPLICATES = 10

__all__ = [
    "MOST_REPLICATES",
    "behind_baselines",
    "more_seeds",
    "new_run",
    "pair",
    "plainly",
    "recipe_epochs",
    "replicates",
    "send",
    "unweighted",
]


def replicates(config: RunConfig, count: int) -> list[RunConfig]:
    """The same settings with seeds s .. s+count-1."""
    return [replace(config, seed=config.seed + i) for i in range(count)]


def more_seeds(frame: pd.DataFrame, before: Any, after: Any, label: str, seeds: Sequence[int]) -> list[NewRun]:
    """Each of the two again with those of these seeds that it lacks, for one submission; weights come from the baseline's replicate
    of the same seed.

    A baseline that `frame` (archived runs too) does not hold with that seed is trained as well, ahead of what follows it.
    Raises EvenlyError for a run whose replicates would not be known as such, because its baseline was deleted.
    """
    out: list[NewRun] = []
    for seed in seeds:
        for row in (before, after):
            if lacking(frame, row, [seed]):
                _again(out, frame, row, label, seed)
    return out


def behind_baselines(
    configs: Sequence[RunConfig], baseline: Any, takes: Mapping[int, int | None], label: str
) -> list[NewRun]:
    """The runs of one submission: each config behind the baseline that `takes` names for its seed.

    Where it names none, a replicate of `baseline` with that seed is trained ahead. Errors as in `more_seeds`.
    """
    firsts: list[NewRun] = []
    absent = [c.seed for c in configs if takes.get(c.seed) is None]
    if absent:
        frame = reads.runs(archived=None)
        for seed in absent:
            _again(firsts, frame, baseline, label, seed)
    runs = []
    for config in configs:
        there = takes.get(config.seed)
        index = None if there is not None else _planned(firsts, baseline, config.seed)
        runs.append(new_run(config, label, baseline=there, baseline_index=index, baseline_group=baseline.group_sha))
    return [*firsts, *runs]


def _again(out: list[NewRun], frame: pd.DataFrame, row: Any, label: str, seed: int) -> None:
    """Append `row` with another seed, once; its baseline of that seed before it where there is none."""
    if _planned(out, row, seed) is not None:
        return
    link: dict[str, Any] = {}
    if row.baseline_id is not None:
        baseline = reads.run(row.baseline_id)
        there = _trained(frame, baseline, seed)
        if there is None:
            _again(out, frame, baseline, label, seed)
        link = {
            "baseline": there,
            "baseline_index": _planned(out, baseline, seed) if there is None else None,
            "baseline_group": baseline.group_sha,
        }
    new = new_run(replace(from_dict(row.config), seed=seed), label, **link)
    if new.group_sha != row.group_sha:
        raise EvenlyError(
            f"other seeds of run {row.id} would not count as its replicates: its baseline was deleted, or another version of Evenly "
            "made it; set it up again under New run"
        )
    out.append(new)


def _planned(out: Sequence[NewRun], row: Any, seed: int) -> int | None:
    """Where in this submission the row's replicate of this seed stands."""
    return next((i for i, new in enumerate(out) if (new.group_sha, new.seed) == (row.group_sha, seed)), None)


def _trained(frame: pd.DataFrame, row: Any, seed: int) -> int | None:
    """An earlier replicate of this seed that has succeeded, else one that is on its way; a paused one brings nothing by itself."""
    same = frame[(frame["group_sha"] == row.group_sha) & (frame["seed"] == seed) & frame["status"].isin(READY)]
    done = same[same["status"] == "succeeded"]
    found = done if len(done) else same
    return None if found.empty else int(found["id"].max())


def send(runs: Sequence[NewRun], submit_key: str) -> list[int]:
    """Queue the runs in one transaction; the same key again returns the same ids."""
    return submit(reads.database(), list(runs), submit_key)


def unweighted() -> str:
    """The method that needs nothing and has nothing to set: the baseline's."""
    return next(m.key for m in METHODS if not m.needs and not m.params)


def plainly(config: RunConfig) -> RunConfig:
    """The same run without a method, a sampler or a late start: its baseline."""
    epochs = (
        config.epochs if METHODS[config.method].epochs is None else recipe_epochs(config.recipe)
    )  # a short second stage goes on from a whole run
    return replace(
        config, method=unweighted(), params={}, epochs=epochs, tpr=None, tpr_support=None, tpr_source="", **UNSAMPLED
    )


def recipe_epochs(recipe: str, method: str | None = None) -> int:
    """The number of epochs a recipe was made for, or the method's own where it has one."""
    own = None if method is None else METHODS[method].epochs
    return RECIPES[recipe].epochs if own is None else own
