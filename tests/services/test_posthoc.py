"""A post-hoc step has the settings of the run it is applied to, wherever it is set up."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from core.datasets import describe
from core.errors import EvenlyError
from services.posthoc import plan_step
from services.submission import plan
from services.tpr_sources import RUN, TprSource, known_tprs
from storage import results
from tests.commands.kit import here
from tests.pages.components.new_run.kit import baselines, started, visit
from tests.seed import mnist1d, record_fingerprint, submit, train, worker_of

TRAINED = {"recipe": "sgd_cosine", "recipe_params": {"lr": 0.02}, "reduction": "batch_mean", "precision": "float32"}


@pytest.fixture
def trained(empty):
    """A finished run with settings that are not New run's defaults, nor the command line's."""
    (number,) = baselines(empty, 0, **TRAINED)
    return results.get_run(empty, number)


def by_page(engine, trained, method):
    at = visit(method=method)
    at.selectbox(key="new_baseline").set_value(str(trained.id)).run()
    (row,) = started(at, engine)
    return row


def by_command(engine, trained, method):
    words = ("run", "--dataset", trained.dataset, "--model", trained.model, "--method", method)
    return results.get_run(engine, here(*words, "--baseline", trained.id, "--json").data["id"])


@pytest.mark.parametrize("entry", [by_page, by_command])
@pytest.mark.parametrize("method", ["tau_norm", "equal_tpr_bias"])
def test_a_step_is_a_replicate_of_itself_wherever_it_was_set_up(empty, trained, method, entry):
    """On New run, on the command line, and on the page of the run (`cli.py posthoc` makes the same row)."""
    (step,), made = plan_step(empty, trained, method, {}).rows, entry(empty, trained, method)
    assert made.config.stored() == step.config.stored()
    assert (made.group_sha, made.baseline_id) == (step.group_sha, step.baseline)


def test_a_step_on_a_second_stage_drops_its_sampler_of_features(empty, trained):
    """That sampler belongs to second stages alone: kept by the step, it would refuse the step."""
    stage = submit(empty, replace(trained.config, method="crt", sampler="smote"), "a second stage", trained.id)
    train(empty, worker_of(empty), mnist1d(), trained.epochs)
    row = results.get_run(empty, stage)
    (step,) = plan_step(empty, row, "tau_norm", {}).rows
    config = replace(trained.config, method="tau_norm", params={})
    (planned,) = plan(empty, config, describe("mnist1d", ""), [0], TprSource(RUN, row, takes={0: stage})).rows
    for made in (step, planned):
        assert (made.config.sampler, made.config.sampler_params, made.baseline) == ("instance", {}, stage)
    assert planned.config.stored() == step.config.stored()


@pytest.mark.parametrize("method", ["tau_norm", "equal_tpr_bias"])
def test_a_step_is_checked_and_questioned_as_on_new_run(empty, trained, method):
    config = replace(trained.config, method=method, params={})
    planned = plan(empty, config, describe("mnist1d", ""), [0], plan_source(empty, trained))
    assert plan_step(empty, trained, method, {}) == planned


def plan_source(engine, row):
    """The run as New run chooses it."""
    return TprSource(RUN, row, *known_tprs(engine, row.config, row.id), f"run {row.id}", {row.seed: row.id})


@pytest.mark.parametrize("method", ["tau_norm", "equal_tpr_bias"])
def test_a_step_on_a_run_with_older_data_is_refused_before_it_is_queued(empty, trained, method):
    record_fingerprint(empty, trained.id, "mnist1d-0")
    refused = f"{method} continues from the network of run 1, which differs from this run (older data)"
    with pytest.raises(EvenlyError, match=re.escape(refused)):
        plan_step(empty, results.get_run(empty, trained.id), method, {})
    assert here("posthoc", trained.id, "--method", method).err.startswith(f"error: {refused}")
    assert len(results.list_runs(empty)) == 1


def test_a_step_on_a_dataset_that_is_gone_is_refused(empty, trained):
    gone = replace(trained, config=replace(trained.config, dataset="gone"), dataset="gone")
    with pytest.raises(EvenlyError, match="gone"):
        plan_step(empty, gone, "equal_tpr_bias", {})
