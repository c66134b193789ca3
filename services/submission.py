"""From settings to a row of the queue: the one place where pages and command line name a run, mark its replicates,
and say which baseline a seed takes its weights from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from core.errors import EvenlyError
from core.experiment.config import UNSAMPLED, RunConfig, checked
from core.experiment.recipes import RECIPES
from core.methods import METHODS
from services.baselines import READY
from services.replicates import lacking
from services.run_names import data_words, method_words, unusual_words
from storage.jobs.queue import NewRun, submit
from storage.results import get_run, list_runs

# -- rows --------------------------------------------------------------------------------------------------------


def new_run(
    config: RunConfig,
    dataset_label: str,
    *,
    baseline: int | None = None,
    baseline_index: int | None = None,
    baseline_group: str = "",
    name: str = "",
    tags: str = "",
) -> NewRun:
    """A checked config as a row for `storage.jobs.queue.submit`.

    `baseline` is an earlier run, `baseline_index` the place of one in the same submission; `baseline_group` its group_sha,
    so that runs weighted from different baselines' settings are not taken for replicates. Raises EvenlyError for bad settings.
    """
    config = checked(config)
    return NewRun(
        config=config,
        name=name
        or f"{data_words(config, dataset_label)}: "
        f"{', '.join(filter(None, [method_words(config), unusual_words(config)]))}, seed {config.seed}",
        group_sha=config.group_sha(baseline_group),
        baseline=baseline,
        baseline_index=baseline_index,
        tags=tags,
    )


def pair(baseline: RunConfig, weighted: RunConfig, dataset_label: str, tags: str = "") -> list[NewRun]:
    """A baseline and the run that takes its TPRs from it, for one submission."""
    first = new_run(baseline, dataset_label, tags=tags)
    return [first, new_run(weighted, dataset_label, baseline_index=0, baseline_group=first.group_sha, tags=tags)]


MOST_REPLICATES = 10


def replicates(config: RunConfig, count: int) -> list[RunConfig]:
    """The same settings with seeds s .. s+count-1."""
    return [replace(config, seed=config.seed + i) for i in range(count)]


def more_seeds(
    engine: Engine, frame: pd.DataFrame, before: Any, after: Any, label: str, seeds: Sequence[int]
) -> list[NewRun]:
    """Each of the two again with those of these seeds that it lacks, for one submission; weights come from the baseline's replicate
    of the same seed.

    A baseline that `frame` (archived runs too) does not hold with that seed is trained as well, ahead of what follows it.
    Raises EvenlyError for a run whose replicates would not be known as such, because its baseline was deleted.
    """
    out: list[NewRun] = []
    for seed in seeds:
        for row in (before, after):
            if lacking(frame, row, [seed]):
                _again(engine, out, frame, row, label, seed)
    return out


def behind_baselines(
    engine: Engine, configs: Sequence[RunConfig], baseline: Any, takes: Mapping[int, int | None], label: str
) -> list[NewRun]:
    """The runs of one submission: each config behind the baseline that `takes` names for its seed.

    Where it names none, a replicate of `baseline` with that seed is trained ahead. Errors as in `more_seeds`.
    """
    firsts: list[NewRun] = []
    absent = [c.seed for c in configs if takes.get(c.seed) is None]
    if absent:
        frame = list_runs(engine, archived=None)
        for seed in absent:
            _again(engine, firsts, frame, baseline, label, seed)
    runs = []
    for config in configs:
        there = takes.get(config.seed)
        index = None if there is not None else _planned(firsts, baseline, config.seed)
        runs.append(new_run(config, label, baseline=there, baseline_index=index, baseline_group=baseline.group_sha))
    return [*firsts, *runs]


def _again(engine: Engine, out: list[NewRun], frame: pd.DataFrame, row: Any, label: str, seed: int) -> None:
    """Append `row` with another seed, once; its baseline of that seed before it where there is none."""
    if _planned(out, row, seed) is not None:
        return
    link: dict[str, Any] = {}
    if row.baseline_id is not None:
        baseline = get_run(engine, row.baseline_id)
        there = _trained(frame, baseline, seed)
        if there is None:
            _again(engine, out, frame, baseline, label, seed)
        link = {
            "baseline": there,
            "baseline_index": _planned(out, baseline, seed) if there is None else None,
            "baseline_group": baseline.group_sha,
        }
    new = new_run(replace(row.config, seed=seed), label, **link)
    if new.group_sha != row.group_sha:
        raise EvenlyError(
            f"other seeds of run {row.id} would not count as its replicates: its baseline was deleted, or another version of Evenly "
            "made it; set it up again under New run"
        )
    out.append(new)


def _planned(out: Sequence[NewRun], row: Any, seed: int) -> int | None:
    """Where in this submission the row's replicate of this seed stands."""
    return next((i for i, new in enumerate(out) if (new.group_sha, new.config.seed) == (row.group_sha, seed)), None)


def _trained(frame: pd.DataFrame, row: Any, seed: int) -> int | None:
    """An earlier replicate of this seed that has succeeded, else one that is on its way; a paused one brings nothing by itself."""
    same = frame[(frame["group_sha"] == row.group_sha) & (frame["seed"] == seed) & frame["status"].isin(READY)]
    done = same[same["status"] == "succeeded"]
    found = done if len(done) else same
    return None if found.empty else int(found["id"].max())


def send(engine: Engine, runs: Sequence[NewRun], submit_key: str) -> list[int]:
    """Queue the runs in one transaction; the same key again returns the same ids."""
    return submit(engine, list(runs), submit_key)


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
