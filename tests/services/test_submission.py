"""From settings to rows of the queue: every run is checked, whichever page or command plans it."""

from __future__ import annotations

import pytest

from core.datasets import describe
from core.errors import EvenlyError
from pages.components.common.prefill import Prefill
from services.submission import more_seeds, plan
from services.tpr_sources import RUN, TprSource
from storage import results
from storage.jobs import queue
from tests.pages.components.new_run.kit import baselines, captions, visit
from tests.seed import config_of

SPEC = describe("mnist1d", "")


def lowest(engine, run_id):
    """The lowest validation TPR of a run."""
    counts = results.class_counts(engine, run_id, "validation")
    return float((counts.tp / counts.support).min())


@pytest.fixture
def apart(empty):
    """A run that a formula takes and its replicate with the next seed that it rejects, and the run's config with that formula."""
    ids = baselines(empty, 0, 1, 2, 3, 4, 5)
    low = [lowest(empty, i) for i in ids]
    at = next(i for i in range(5) if low[i] > low[i + 1])
    formula = f"sqrt(tpr - {(low[at] + low[at + 1]) / 2:.6f})"
    config = config_of(epochs=20, seed=at, method="custom", params={"formula": formula})
    return [results.get_run(empty, i) for i in ids[at : at + 2]], config


def test_a_plan_checks_the_evidence_of_every_seed(empty, apart):
    (good, bad), config = apart
    source = TprSource(RUN, good, takes={good.seed: good.id, bad.seed: bad.id})
    assert [r.baseline for r in plan(empty, config, SPEC, [good.seed], source).rows] == [good.id]
    with pytest.raises(EvenlyError, match="formula"):
        plan(empty, config, SPEC, [good.seed, bad.seed], source)


def test_new_run_cannot_start_what_the_evidence_of_a_later_seed_forbids(empty, apart):
    (good, _), config = apart
    at = visit()
    at.session_state["new_prefill"] = Prefill(config, method=config.method, baseline=good.id)
    at.run()
    assert not at.button(key="new_start").disabled
    at.number_input(key="new_replicates").set_value(2).run()
    assert at.button(key="new_start").disabled
    assert "sqrt" in captions(at).replace("\\", "")


def test_more_seeds_are_checked_too(empty, apart):
    (good, bad), config = apart
    source = TprSource(RUN, good, takes={good.seed: good.id})
    (weighted,) = queue.submit(empty, list(plan(empty, config, SPEC, [good.seed], source).rows))
    after = results.get_run(empty, weighted)
    with pytest.raises(EvenlyError, match="formula"):
        more_seeds(empty, results.list_runs(empty), good, after, [bad.seed])
    rows = more_seeds(empty, results.list_runs(empty), good, after, [9]).rows
    assert [(r.config.method, r.config.seed, r.baseline_index) for r in rows] == [("none", 9, None), ("custom", 9, 0)]
