"""From settings to a row of the queue: the one place where pages and command line name a run, mark its replicates,
and say which baseline a seed takes its weights from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from core.datasets.spec import DataSpec
from core.experiment.baseline import same_data
from core.experiment.config import RunConfig, checked
from core.experiment.recipes import RECIPES
from core.experiment.term_schedule import PLAIN
from core.methods import METHODS, POSTHOC
from storage.jobs.queue import NewRun

READY = ("succeeded", "running", "queued")  # a baseline that has TPRs or will have them by itself, the best first
NAMED = 8  # seeds named in a sentence before "and n more"


# -- names -------------------------------------------------------------------------------------------------------


def method_words(config: RunConfig) -> str:
    """The method and its parameters, short: "TPR ratio, exponent 2", "None", "Focal, gamma 2, form sigmoid".

    A label's bracket is left out.
    """
    row = METHODS[config.method]
    values = {p.key: config.params.get(p.key, p.default) for p in row.params}
    shown = [
        f"{p.label.lower()} {values[p.key] if isinstance(values[p.key], str) else format(float(values[p.key]), 'g')}"
        for p in row.params
        if p.key == row.slider or values[p.key] != p.default
    ]
    return ", ".join([row.label.partition(" (")[0], *shown])


def tail_words(imbalance: float, profile: str) -> str:
    """ "tail 100" or "step tail 100"; "" where the training split keeps its counts."""
    return "" if imbalance <= 1 else f"{'' if profile == RunConfig.profile else f'{profile} '}tail {imbalance:g}"


def unusual_words(config: RunConfig) -> str:
    """What else tells runs of one method apart, where it is not the usual; "" where all is.

    For example "given TPRs, sampler balanced, from 80 %, 60 epochs".
    """
    method, recipe = METHODS[config.method], RECIPES[config.recipe]
    usual = recipe.epochs if method.epochs is None else method.epochs
    said = (
        ""
        if method.stage == POSTHOC or config.epochs == usual
        else f"{config.epochs} epoch{'s' * (config.epochs != 1)}"
    )
    sampler = "" if config.sampler == PLAIN else f"sampler {config.sampler}"
    late = f"from {100 * config.start:g} %" if config.start > 0 else ""
    return ", ".join(filter(None, ["" if config.tpr is None else "given TPRs", sampler, late, said]))


def data_words(config: RunConfig, dataset_label: str) -> str:
    """The dataset and how it was thinned: "MNIST-1D, tail 100"."""
    return ", ".join(filter(None, [dataset_label, tail_words(config.imbalance, config.profile)]))


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
        config=json.loads(config.to_json()),
        name=name
        or f"{data_words(config, dataset_label)}: "
        f"{', '.join(filter(None, [method_words(config), unusual_words(config)]))}, seed {config.seed}",
        dataset=config.dataset,
        model=config.model,
        method=config.method,
        seed=config.seed,
        epochs=config.epochs,
        config_sha=config.sha(),
        group_sha=config.group_sha(baseline_group),
        baseline=baseline,
        baseline_index=baseline_index,
        tags=tags,
    )


def pair(baseline: RunConfig, weighted: RunConfig, dataset_label: str, tags: str = "") -> list[NewRun]:
    """A baseline and the run that takes its TPRs from it, for one submission."""
    first = new_run(baseline, dataset_label, tags=tags)
    return [first, new_run(weighted, dataset_label, baseline_index=0, baseline_group=first.group_sha, tags=tags)]


# -- which baseline ----------------------------------------------------------------------------------------------


def by_seed(frame: pd.DataFrame, group_sha: str) -> dict[int, int]:
    """Seed -> run of a replicate group, among the runs in `frame` (see `storage.results.runs.list_runs`).

    A run that has succeeded goes before one that is on, that before one that waits; of equals the newest is taken.
    """
    mine = frame[frame["group_sha"] == group_sha].sort_values("id", ascending=False)
    out: dict[int, int] = {}
    for status in READY:
        rows = mine[mine["status"] == status]
        for seed, number in zip(rows["seed"].tolist(), rows["id"].tolist(), strict=True):
            out.setdefault(int(seed), int(number))
    return out


def differences(config: RunConfig, spec: DataSpec, theirs: Mapping[str, Any]) -> str:
    """What keeps a run from being a baseline of `config` on the data of `spec`, in words; "" where nothing does.

    For example "older data, no long tail, model cnn".
    `theirs`: a run of `drawn_by`. The seed is left aside.
    """
    older = "" if same_data(theirs["fingerprint"], spec.fingerprint) else "older data"
    model = f"model {theirs['model']}" if theirs["model"] != config.model else ""
    return ", ".join(filter(None, [older, other_data(config, theirs, spec.own_validation), model]))


def other_data(config: RunConfig, theirs: Mapping[str, Any], own_validation: bool) -> str:
    """What another run's data has that `config`'s has not, in words: "no long tail, validation share 0.2"; "" where both are drawn alike.

    `theirs` holds DRAWN_BY; the seed is left aside. With `own_validation` the validation share changes nothing.
    """
    said = []
    tail = tail_words(theirs["imbalance"], theirs["profile"])
    if tail != tail_words(config.imbalance, config.profile):
        said.append(tail or "no long tail")
    if not own_validation and theirs["validation"] != config.validation:
        said.append(f"validation share {theirs['validation']:g}")
    return ", ".join(said)


def pairing(takes: Mapping[int, int | None]) -> str:
    """Which seed takes which run, in a sentence; None stands for a baseline that is trained first."""
    there = [f"run {number} for seed {seed}" for seed, number in takes.items() if number is not None]
    absent = [seed for seed, number in takes.items() if number is None]
    said = []
    if there and len(there) > 1 and not absent and len(set(takes.values())) == 1:
        said.append(f"Baseline: run {next(iter(takes.values()))} for every seed")
    elif there:
        said.append(f"Baseline{'s' * (len(there) > 1)}: {_some(there)}")
    if absent:
        said.append(f"{'for' if said else 'For'} {seeds_in_words(absent)} a baseline is trained first")
    return "; ".join(said) + "." if said else ""


def another_seed(baseline: int, seed: int, seeds: Iterable[int], own_validation: bool) -> str:
    """What it means that these seeds take the TPRs of a baseline with another seed; "" where none does."""
    others = [s for s in seeds if s != seed]
    if not others:
        return ""
    text = f"Run {baseline} has seed {seed}, so the weights of {seeds_in_words(others)} come from another network than their own baseline's"
    if own_validation:
        return text + "."
    return text + " and from another validation split: most of the samples behind its TPRs are training samples here."


def seeds_in_words(seeds: Iterable[int]) -> str:
    """[3] -> "seed 3", [0, 1, 2] -> "seeds 0, 1 and 2"."""
    names = [str(s) for s in seeds]
    return f"seed{'s' * (len(names) > 1)} {_some(names)}"


def _some(names: list[str]) -> str:
    """Up to NAMED of them with commas and an "and"; the rest is counted."""
    shown = names if len(names) <= NAMED else [*names[:NAMED], f"{len(names) - NAMED} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
