"""Two stored runs as the sides of a comparison."""

from __future__ import annotations

from core.comparison.compare import compare
from core.comparison.pairing import BASELINE_DELETED, Unpaired
from reporting import provenance
from services import comparison
from storage import results
from tests.seed import config_of, mnist1d, submit, train, worker_of

COUNTS_ONLY = {"method": "custom", "params": {"formula": "1/n"}}
BY_TPR = {"method": "custom", "params": {"formula": "1/tpr"}}


def seeds(engine, count, **settings):
    """Finished runs that differ in the seed alone; the newest one's row."""
    worker = worker_of(engine)
    for seed in range(count):
        number = submit(engine, config_of(epochs=3, seed=seed, **settings), "a run")
        train(engine, worker, mnist1d(0, seed), 3, seed=seed, matrices=False)
    return results.get_run(engine, number)


def test_a_formula_over_counts_is_paired_by_seed_and_no_baseline_of_it_was_deleted(empty):
    plain, weighted = seeds(empty, 3), seeds(empty, 3, **COUNTS_ONLY)
    found = compare(comparison.side(empty, plain), comparison.side(empty, weighted))
    assert found.over_seeds.paired
    assert not [f for f in (*found.cautions, *found.notes) if isinstance(f, Unpaired)]
    assert provenance.evidence_origin(weighted) == ""
    by_tpr = seeds(empty, 3, **BY_TPR)
    found = compare(comparison.side(empty, plain), comparison.side(empty, by_tpr))
    assert [f.reasons[0].why for f in found.notes if isinstance(f, Unpaired)] == [BASELINE_DELETED]
