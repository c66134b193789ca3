"""A run that takes TPRs from a validation split that its baseline was trained on: a caution on every page."""

from dataclasses import replace

import pytest

from commands.submit import source_of
from core.comparison.compare import compare
from core.datasets import describe
from core.diagnostics.run_warnings import SeenInTraining
from core.experiment.config import RunConfig, checked
from core.experiment.facts import Facts, StartEvidence
from reporting import text
from services.posthoc import plan_step
from services.queue_rows import new_run
from services.submission import plan
from storage import results
from storage.jobs import queue
from tests.core.comparison.kit import AFTER, BEFORE, rng, side
from tests.pages.components.new_run.kit import captions, visit
from tests.seed import config_of, mnist1d, submit, train, worker_of
from tests.work.kit import drained, log_of

BASE = RunConfig("mnist1d", "cnn1d", epochs=1)
L2RW = "Learning to reweight (L2RW)"
WEIGHTS, FIT = (SeenInTraining("this run", made, L2RW) for made in ("weights", "fit"))


def settings(method="tpr_ratio", **changes):
    return checked(replace(BASE, method=method, **changes))


def facts(method):
    return Facts(evidence=StartEvidence(method=method))


def test_compare_says_it():
    after = side(AFTER, "run 2", config=settings(), facts=facts("l2rw"))
    found = compare(side(BEFORE, "run 1", config=settings("l2rw")), after, rng()).cautions
    assert [c for c in found if isinstance(c, SeenInTraining)] == [SeenInTraining("run 2", "weights", L2RW)]


def test_a_run_records_how_its_baseline_was_trained_and_logs_what_that_means(worker):
    (base,) = queue.submit(worker.engine, [new_run(replace(BASE, method="l2rw"))])
    drained(worker, base)
    weighted, plain = queue.submit(
        worker.engine,
        [new_run(replace(BASE, method=m), baseline=base) for m in ("tpr_ratio", "inverse_frequency")],
    )
    step = plan_step(worker.engine, results.get_run(worker.engine, base), "equal_tpr_bias", {})
    (fitted,) = queue.submit(worker.engine, list(step.rows))
    assert drained(worker, fitted).facts.evidence.method == "l2rw"
    assert results.get_run(worker.engine, base).facts.evidence.method == ""
    assert f"warning: {text.of(WEIGHTS)}" in log_of(worker, weighted)
    assert f"warning: {text.of(FIT)}" in log_of(worker, fitted)
    assert "meta samples" not in log_of(worker, plain) + log_of(worker, base)


# ---------------------------------------------------------------- before a run is started


def finished(engine, method):
    """A finished run of this method, as made up by the seed of the pages' tests."""
    worker, config = worker_of(engine), config_of(method=method)
    run = submit(engine, config, f"MNIST-1D: {method}, seed 0")
    train(engine, worker, mnist1d(), 20, matrices=False)
    return run


@pytest.mark.parametrize(
    ("baseline", "method", "caution"),
    [
        ("l2rw", "tpr_ratio", WEIGHTS),
        ("none", "tpr_ratio", None),
        ("l2rw", "inverse_frequency", None),
        ("l2rw", "equal_tpr_bias", FIT),
        ("l2rw", "tau_norm", None),
    ],
)
def test_new_run_says_it_under_the_choice(empty, baseline, method, caution):
    run = finished(empty, baseline)
    at = visit()
    at.selectbox(key="method").set_value(method).run()
    at.selectbox(key="new_baseline").set_value(str(run)).run()
    assert not at.exception
    shown = captions(at).replace("\\", "")
    assert text.of(caution) in shown if caution else "rest on validation samples" not in shown


@pytest.mark.parametrize(
    ("baseline", "cautions"),
    [("l2rw", (WEIGHTS,)), ("none", ())],
)
def test_a_plan_says_it(home, baseline, cautions):
    root, engine = home
    run = finished(engine, baseline)
    config, spec = checked(replace(BASE, epochs=20, method="tpr_ratio")), describe("mnist1d", root)
    made = plan(engine, config, spec, [0], source_of(engine, config, spec, [0], run, same=False, waits=False))
    assert [r.baseline for r in made.rows] == [run]
    assert made.findings == cautions
