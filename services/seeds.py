"""Which seeds two runs have, which are in progress, and which to add next.

Every function takes the list of runs (`storage.results.runs.list_runs`), including archived ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pandas as pd

from core.experiment.states import LIVE, UNSUCCESSFUL
from core.methods import takes_tprs
from storage.results.runs import RunRow


def next_seeds(frame: pd.DataFrame, before: RunRow, after: RunRow, count: int) -> list[int]:
    """The next `count` seeds to compare the two runs with: first those that one side has finished and the other never started,
    lowest first, then those that neither has, above the two runs' own; failed or stopped ones may be among these.
    """
    one_sided = _one_sided_seeds(frame, before, after) | _one_sided_seeds(frame, after, before)
    have = _seeds_held(frame, before) | _seeds_held(frame, after)
    new = (s for s in itertools.count(max(before.seed, after.seed) + 1) if s not in have)
    return list(itertools.islice(itertools.chain(sorted(one_sided), new), count))


def _one_sided_seeds(frame: pd.DataFrame, row: RunRow, other: RunRow) -> set[int]:
    """Seeds with which the row has succeeded and the other was never tried: one that failed would fail again, and a paused one must be
    resumed by the user. Where weights come from a baseline, only those whose baseline had that seed too: others form no pair."""
    fed = takes_tprs(row.config.method, row.config.params) and row.config.tpr is None
    seed_of = dict(zip(frame["id"].tolist(), frame["seed"].tolist(), strict=True))
    tried = {seed for seed, *_ in _tried(frame, other)}
    return {
        seed
        for seed, status, baseline in _tried(frame, row)
        if status == "succeeded" and seed not in tried and (not fed or seed_of.get(baseline) == seed)
    }


def on_the_way(frame: pd.DataFrame, before: RunRow, after: RunRow) -> list[int]:
    """Ids of the two runs' replicates that are queued or running."""
    about = zip(frame["id"].tolist(), frame["group_sha"].tolist(), frame["status"].tolist(), strict=True)
    groups = {before.group_sha, after.group_sha}
    return [run_id for run_id, group, status in about if group in groups and status in LIVE]


def lacking(frame: pd.DataFrame, row: RunRow, seeds: Sequence[int]) -> list[int]:
    """The seeds for which a run has no replicate."""
    have = _seeds_held(frame, row)
    return [seed for seed in seeds if seed not in have]


def _seeds_held(frame: pd.DataFrame, row: RunRow) -> set[int]:
    """Its own seed and those of its replicates; the seed of an unsuccessful one may be tried again."""
    return {int(row.seed), *(seed for seed, status, _ in _tried(frame, row) if status not in UNSUCCESSFUL)}


def _tried(frame: pd.DataFrame, row: RunRow) -> list[tuple[int, str, int | None]]:
    """(seed, status, baseline) of every run with the row's settings. Lists, because comparing text columns is slow."""
    about = (frame[key].tolist() for key in ("seed", "status", "baseline_id", "group_sha"))
    return [
        (seed, status, baseline) for seed, status, baseline, group in zip(*about, strict=True) if group == row.group_sha
    ]
