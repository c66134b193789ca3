"""Which seeds to compare two runs with next."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from core.experiment.config import RunConfig
from services.seeds import lacking, next_seeds, on_the_way


def run(group, method="none", seed=0):
    return SimpleNamespace(seed=seed, group_sha=group, config=RunConfig("mnist1d", "cnn1d", method))


def listed(*rows):
    """The list of runs, from (group, seed, status, baseline) with ids from 1."""
    columns = ["group_sha", "seed", "status", "baseline_id"]
    return pd.DataFrame(rows, columns=columns).assign(id=range(1, len(rows) + 1))


PLAIN, FOCAL, RATIO = run("a"), run("b", "focal"), run("b", "tpr_ratio")


@pytest.mark.parametrize(
    ("more", "seeds"),
    [
        ([], [1, 2]),
        ([("a", 3, "succeeded", None)], [3, 1]),
        ([("a", 3, "succeeded", None), ("b", 3, "failed", None)], [1, 2]),
        ([("a", 1, "failed", None), ("b", 2, "queued", None)], [1, 3]),
    ],
    ids=["the next ones", "one side has it", "the other failed with it", "a failed one may be tried again"],
)
def test_seeds_that_one_side_has_come_first(more, seeds):
    frame = listed(("a", 0, "succeeded", None), ("b", 0, "succeeded", None), *more)
    assert next_seeds(frame, PLAIN, FOCAL, 2) == seeds


@pytest.mark.parametrize(("baseline", "seeds"), [(4, [5]), (1, [1])])
def test_a_weighted_run_forms_a_pair_only_with_the_baseline_of_its_own_seed(baseline, seeds):
    frame = listed(
        ("a", 0, "succeeded", None),
        ("b", 0, "succeeded", 1),
        ("b", 5, "succeeded", baseline),
        ("another baseline", 5, "succeeded", None),
    )
    assert next_seeds(frame, PLAIN, RATIO, 1) == seeds


def test_what_is_lacking_and_what_is_on_the_way():
    frame = listed(
        ("a", 0, "succeeded", None), ("a", 1, "running", None), ("a", 2, "cancelled", None), ("c", 3, "queued", None)
    )
    assert lacking(frame, PLAIN, [0, 1, 2, 3]) == [2, 3]
    assert on_the_way(frame, PLAIN, FOCAL) == [2]
