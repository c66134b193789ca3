"""Which baseline provides the TPRs for which seed of a run."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from core.datasets.spec import DataSpec
from core.experiment.baseline import BaselineDiffers, OtherSeedsBaseline, same_data
from core.experiment.config import RunConfig
from storage.results.runs import DrawnRun

READY = ("succeeded", "running", "queued")  # a baseline that has TPRs or will have them, in order of preference


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


def differences(config: RunConfig, spec: DataSpec, theirs: DrawnRun) -> BaselineDiffers:
    """Why a run cannot be a baseline of `config` on the data of `spec`; the seed is ignored.

    The validation share has no effect where the data has its own validation split.
    """
    tail, mine = _tail(theirs.imbalance, theirs.profile), _tail(config.imbalance, config.profile)
    return BaselineDiffers(
        older=not same_data(theirs.fingerprint, spec.fingerprint),
        tail=None if tail == mine else tail,
        validation=None if spec.own_validation or theirs.validation == config.validation else theirs.validation,
        model=None if theirs.model == config.model else theirs.model,
    )


def _tail(imbalance: float, profile: str) -> tuple[float, str]:
    """The effective tail: without imbalance the profile has no effect."""
    return (imbalance, profile) if imbalance > 1 else (1.0, RunConfig.profile)


def another_seed(baseline: int, seed: int, seeds: Iterable[int], own_validation: bool) -> OtherSeedsBaseline | None:
    """The seeds that take the TPRs of a baseline with another seed; None where none does."""
    others = tuple(s for s in seeds if s != seed)
    return OtherSeedsBaseline(baseline, seed, others, own_validation) if others else None
