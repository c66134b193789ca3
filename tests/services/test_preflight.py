"""What is questionable before a run starts: said alike by the command line and the pages."""

from dataclasses import replace

import numpy as np
import pytest

from core.comparison.confounders import ApartFromBaseline, Difference
from core.errors import EvenlyError
from services import posthoc
from services.preflight import cautions
from services.tpr_sources import known_tprs
from storage import results
from tests.pages.kit import RUN, visit
from tests.seed import config_of, mnist1d, submit, train, worker_of

COUNTS = np.full(10, 400.0)


@pytest.fixture
def baseline(empty):
    """A finished run of 12 epochs without weights."""
    run = submit(empty, config_of(epochs=12), "MNIST-1D: none, seed 0")
    train(empty, worker_of(empty), mnist1d(), 12)
    return run


def test_settings_that_differ_from_the_baselines_are_named(empty, baseline):
    (caution,) = cautions(config_of(epochs=20, method="tpr_ratio"), COUNTS, results.get_run(empty, baseline))
    assert caution == ApartFromBaseline(baseline, (Difference("epochs", 12, 20),))


def test_settings_like_the_baselines_raise_no_doubt(empty, baseline):
    assert cautions(config_of(epochs=12, method="tpr_ratio"), COUNTS, results.get_run(empty, baseline)) == []
    assert cautions(config_of(epochs=20), COUNTS, None) == []


def test_the_tprs_are_those_of_the_validation_split(empty, baseline):
    tpr, support = known_tprs(empty, config_of(epochs=12, method="tpr_ratio"), baseline)
    assert support.sum() == 10 * mnist1d().per_class["validation"]
    assert np.all((tpr >= 0) & (tpr <= 1))
    assert known_tprs(empty, config_of(epochs=12), None) == (None, None)


def test_a_runs_page_says_what_else_sets_it_apart_from_its_baseline(empty, baseline):
    worker = worker_of(empty)
    for epochs in (12, 20):
        run = submit(empty, config_of(epochs=epochs, method="tpr_ratio"), "MNIST-1D: TPR ratio, seed 0", baseline)
        train(empty, worker, mnist1d(0.2), epochs)
        said = [c.value.replace("\\", "") for c in visit(RUN, id=run).caption if "The runs also differ" in c.value]
        assert said == (
            []
            if epochs == 12
            else ["The runs also differ in epochs (12 and 20), so the weighting alone does not explain a change."]
        )


def test_a_step_that_needs_a_linear_last_layer_refuses_another_head(empty, baseline):
    row = results.get_run(empty, baseline)
    assert posthoc.plan_step(empty, row, "tau_norm", {}).rows[0].config.method == "tau_norm"
    cosine = replace(row, facts=replace(row.facts, heads=(("cosine", {}),)))
    with pytest.raises(
        EvenlyError,
        match=f"tau_norm uses .* linear last layer, and run {baseline} has a head of kind 'cosine'; choose another step",
    ):
        posthoc.plan_step(empty, cosine, "tau_norm", {})
    assert posthoc.plan_step(empty, cosine, "equal_tpr_bias", {}).rows[0].config.method == "equal_tpr_bias"


def test_a_run_that_learned_from_validation_samples_says_so(empty, baseline):
    run = submit(empty, config_of(epochs=12, method="l2rw"), "MNIST-1D: L2RW, seed 0")
    train(empty, worker_of(empty), mnist1d(), 12)
    said = {
        number: [c.value for c in visit(RUN, id=number).caption if "learns from validation samples" in c.value]
        for number in (baseline, run)
    }
    assert [len(texts) for texts in said.values()] == [0, 1]
