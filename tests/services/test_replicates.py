"""Replicates of recorded runs, and the baselines that are trained before them."""

from __future__ import annotations

import pytest

from core.errors import EvenlyError
from services.queue_rows import new_run
from services.replicates import baseline_first, replicate_with_seed
from services.tpr_sources import NOTHING, RUN, TRAIN_FIRST, OwnSources, TprSource
from storage import results
from storage.jobs import queue
from tests.pages.components.new_run.kit import baselines
from tests.seed import config_of


def weighted(engine, base):
    """A run with the baseline `base`, as it is queued."""
    row = results.get_run(engine, base)
    link = {"baseline": base, "baseline_group": row.group_sha}
    (made,) = queue.submit(engine, [new_run(config_of(method="tpr_ratio"), **link)])
    return results.get_run(engine, made)


def test_a_replicate_comes_after_its_own_baseline_and_only_once(empty):
    (base,) = baselines(empty, 0)
    run, rows, own = weighted(empty, base), [], OwnSources(empty)
    assert replicate_with_seed(rows, run, 7, own) == 1
    assert [(r.config.method, r.config.seed, r.baseline_index) for r in rows] == [
        ("none", 7, None),
        ("tpr_ratio", 7, 0),
    ]
    assert rows[1].group_sha == run.group_sha
    assert replicate_with_seed(rows, run, 7, own) == 1
    assert len(rows) == 2


def test_without_its_baseline_a_run_gets_no_replicate(empty):
    (base,) = baselines(empty, 0)
    run = weighted(empty, base)
    queue.ask(empty, run.id, "cancel")
    results.delete(empty, [base])
    with pytest.raises(EvenlyError, match=f"other seeds of run {run.id} would not count as its replicates"):
        replicate_with_seed([], results.get_run(empty, run.id), 7, OwnSources(empty))


def test_how_a_run_is_tied_to_its_baseline(empty):
    (base,) = baselines(empty, 0)
    row, own, config = results.get_run(empty, base), OwnSources(empty), config_of(method="tpr_ratio")
    rows = []
    assert baseline_first(rows, config, TprSource(NOTHING), own) == {}
    has = TprSource(RUN, row, takes={config.seed: base})
    assert baseline_first(rows, config, has, own) == {"baseline": base, "baseline_group": row.group_sha}
    assert rows == []
    first = baseline_first(rows, config, TprSource(TRAIN_FIRST), own)
    assert first == {"baseline_index": 0, "baseline_group": rows[0].group_sha}
    assert rows[0].config.method == "none"
