"""Which baseline feeds which seed of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from core.datasets.spec import DataSpec
from core.experiment.baseline import same_data
from core.experiment.config import RunConfig
from services.run_names import tail_words

READY = ("succeeded", "running", "queued")  # a baseline that has TPRs or will have them by itself, the best first
NAMED = 8  # seeds named in a sentence before "and n more"


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
