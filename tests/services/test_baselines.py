"""What a run takes from an earlier one: whether it takes TPRs at all, and that those of another version of the data never make weights."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select, update

from core.comparison.compare import compare
from core.comparison.pairing import BASELINE_DELETED, Unpaired
from core.datasets import describe
from core.diagnostics.run_warnings import few_samples
from core.experiment.baseline import same_data
from core.experiment.config import RunConfig
from core.experiment.facts import Facts, StartEvidence
from core.methods import takes_tprs
from pages.components.new_run import evidence
from reporting import provenance
from services import comparison
from services.queue_rows import new_run
from storage import results
from storage.db.schema import detail
from storage.jobs import queue
from storage.results.runs import drawn_by
from tests.pages.components.new_run.kit import baselines, captions, started, visit
from tests.seed import config_of, mnist1d, train, worker_of
from tests.seed import submit as queued
from tests.work.kit import changed, drained, submit

COUNTS_ONLY = {"method": "custom", "params": {"formula": "1/n"}}
BY_TPR = {"method": "custom", "params": {"formula": "1/tpr"}}


# -- who takes TPRs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "takes"),
    [
        (COUNTS_ONLY, False),
        (BY_TPR, True),
        ({"method": "custom", "params": {"formula": "mean_tpr / n"}}, True),
        ({"method": "custom"}, True),
        ({"method": "tpr_ratio", "params": {}}, True),
        ({"method": "none"}, False),
        ({"method": "of another version"}, False),
        ({}, False),
    ],
)
def test_the_parameters_decide_whether_a_method_takes_tprs(config, takes):
    settings = RunConfig("mnist1d", "cnn1d", **config)
    assert takes_tprs(settings.method, settings.params) is takes


def seeds(engine, count, **settings):
    """Finished runs that differ in the seed alone; the newest one's row."""
    worker = worker_of(engine)
    for seed in range(count):
        number = queued(engine, config_of(epochs=3, seed=seed, **settings), "a run")
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


# -- few validation samples --------------------------------------------------------------------------------------

FEW = Facts(("ant", "bee"), {"validation": [3, 400]}, evidence=StartEvidence(support=[3, 400]))
MANY = replace(FEW, evidence=StartEvidence(support=[300, 400]))


@pytest.mark.parametrize(
    ("settings", "facts", "made"),
    [
        (BY_TPR, FEW, ("weights",)),
        (COUNTS_ONLY, FEW, ()),
        (COUNTS_ONLY | {"sampler": "difficulty"}, FEW, ("sampling",)),
        ({"method": "none", "sampler": "difficulty"}, FEW, ("sampling",)),
        (BY_TPR | {"sampler": "difficulty"}, MANY, ("sampling",)),
        (BY_TPR | {"sampler": "difficulty"}, FEW, ("weights", "sampling")),
        ({"method": "none", "sampler": "balanced"}, FEW, ()),
    ],
)
def test_weights_and_sampling_from_few_validation_samples_are_reported(settings, facts, made):
    found = few_samples("run 2", RunConfig("mnist1d", "cnn1d", **settings), facts)
    assert (found.made if found else ()) == made


# -- another version of the data ---------------------------------------------------------------------------------


def test_an_unknown_fingerprint_says_nothing_against_a_run():
    assert same_data(None, "a")
    assert same_data("a", "")
    assert same_data("a", "a")
    assert not same_data("a", "b")


def folder(root, green, names=("ant", "bee")):
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(40):
            Image.new("RGB", (16, 16), (i, green, 9)).save(root / name / f"{i}.png")
    return root


def test_a_run_keeps_what_its_data_was_and_seed_and_tail_do_not_change_it(worker, tmp_path):
    data = folder(tmp_path / "insects", 30)
    config = changed(dataset=str(data), epochs=1, recipe_params={"batch_size": 8})
    ids = submit(worker, config, changed(config, seed=1, imbalance=4.0, validation=0.3))
    kept = {drained(worker, i).facts.fingerprint for i in ids}
    assert kept == {describe(str(data), tmp_path).fingerprint}
    assert re.fullmatch("[0-9a-f]{64}", *kept)


def test_tprs_of_another_version_of_the_data_make_no_weights(worker, tmp_path):
    data = folder(tmp_path / "insects", 30)
    config = changed(dataset=str(data), epochs=1, recipe_params={"batch_size": 8})
    (first,) = submit(worker, config)
    assert drained(worker, first).status == "succeeded"
    again, weighted = changed(config, seed=1), changed(config, method="tpr_ratio", seed=1)
    (same,) = queue.submit(worker.engine, [new_run(weighted, baseline=first)])
    assert drained(worker, same).status == "succeeded", "another seed is the same data"
    folder(data, 50)
    late, compared = queue.submit(
        worker.engine,
        [new_run(changed(weighted, seed=2), baseline=first), new_run(again, baseline=first)],
    )
    row = drained(worker, late)
    assert row.status == "failed"
    assert f"run {first} was trained on another version of {data} (data " in row.error
    assert "train the baseline again, or give the TPRs as a file" in row.error
    assert "\n" not in row.error
    assert drained(worker, compared).status == "succeeded", "a run that is only compared with it takes nothing from it"


def test_a_baseline_from_before_fingerprints_still_feeds_weights(worker, tmp_path):
    data = folder(tmp_path / "insects", 30)
    config = changed(dataset=str(data), epochs=1, recipe_params={"batch_size": 8})
    (first,) = submit(worker, config)
    drained(worker, first)
    forget(worker.engine, first)
    assert drawn_by(worker.engine, drained(worker, first).dataset)[first].fingerprint is None
    (second,) = queue.submit(worker.engine, [new_run(changed(config, method="tpr_ratio"), baseline=first)])
    assert drained(worker, second).status == "succeeded"


def keep(engine, run_id, fingerprint):
    """The fingerprint that a stored run says its data had; None: it was made before they were kept."""
    with engine.begin() as connection:
        facts = connection.scalar(select(detail.c.facts).where(detail.c.run_id == run_id))
        facts = {k: v for k, v in facts.items() if k != "fingerprint"} | (
            {} if fingerprint is None else {"fingerprint": fingerprint}
        )
        connection.execute(update(detail).where(detail.c.run_id == run_id).values(facts=facts))


def forget(engine, run_id):
    keep(engine, run_id, None)


# -- New run -----------------------------------------------------------------------------------------------------


def test_a_run_on_older_data_is_among_the_others_and_cannot_feed_weights(empty):
    old, now, _ = baselines(empty, 0, 1, 2)
    keep(empty, old, "mnist1d-0")
    keep(empty, now, describe("mnist1d", "").fingerprint)
    at = visit()
    at.selectbox(key="method").set_value("tpr_ratio").run()
    box = at.selectbox(key="new_baseline")
    assert box.value != str(old)
    box.set_value("others").run()
    other = at.selectbox(key="new_baseline_other")
    assert [o for o in other.options if "older data" in o] == other.options
    assert len(other.options) == 1, "a run from before fingerprints were kept is still offered as a baseline"
    assert f"Run {old} was trained on another version of mnist1d" in at.error[0].value.replace("\\", "")
    assert at.button(key="new_start").disabled
    at.selectbox(key="new_baseline").set_value(str(now)).run()
    assert not at.error


def test_a_seed_whose_baseline_is_of_older_data_gets_a_new_one(empty):
    first, old = baselines(empty, 0, 1)
    keep(empty, old, "mnist1d-0")
    at = visit()
    at.selectbox(key="method").set_value("tpr_ratio").run()
    assert at.selectbox(key="new_baseline").value == str(first)
    at.number_input(key="new_replicates").set_value(2).run()
    assert "for seed 1 a baseline is trained first" in captions(at)
    base, *weighted = started(at, empty)
    assert (base.method, base.seed) == ("none", 1)
    assert [r.baseline_id for r in weighted] == [first, base.id]


def test_a_run_that_takes_no_tprs_may_be_compared_with_one_on_older_data(empty):
    (old,) = baselines(empty, 0)
    keep(empty, old, "mnist1d-0")
    at = visit()
    at.selectbox(key="method").set_value("inverse_frequency").run()
    at.selectbox(key="new_baseline").set_value("others").run()
    assert not at.error
    (row,) = started(at, empty)
    assert row.baseline_id == old
    assert np.isfinite(row.seed)


def test_a_run_that_finishes_on_other_data_is_sorted_while_the_page_is_open(empty):
    """What New run keeps of how runs draw their data is read anew when a run has come."""
    baselines(empty, 0)
    at = visit()
    at.selectbox(key="method").set_value("tpr_ratio").run()
    assert evidence.TEXTS[evidence.OTHERS] not in at.selectbox(key="new_baseline").options
    (other,) = baselines(empty, 0, imbalance=10.0)
    at.run()
    at.selectbox(key="new_baseline").set_value("others").run()
    (label,) = at.selectbox(key="new_baseline_other").options
    assert label.startswith(f"Run {other}: ")
    assert label.endswith("(tail 10)")
