"""What a post-hoc step leaves behind in the database: notes on its cost in the log, and no loss and calibration of distances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.methods import METHODS, POSTHOC
from core.methods.notes import BiasFewSamples
from core.methods.posthoc import STORED_BIAS
from reporting import text
from services import posthoc
from storage import results
from storage.jobs import events, queue
from tests.pages.kit import RUN, visit, words_on
from tests.work.kit import CONFIG, drained, log_of, submit, working


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with working(tmp_path_factory.mktemp("posthoc")) as worker:
        yield worker


@pytest.fixture(scope="module")
def steps(worker):
    """The runs of every post-hoc step on one short run with the sigmoid loss, and that run, by method."""
    (base,) = submit(worker, replace(CONFIG, epochs=2, method="eql", params={"threshold": 0.05}))
    row = drained(worker, base)
    assert (row.status, row.error) == ("succeeded", None)
    ids = {
        m.key: queue.submit(worker.engine, list(posthoc.plan_step(worker.engine, row, m.key, {}).rows))[0]
        for m in METHODS
        if m.stage == POSTHOC
    }
    worker.loop(drain=True)
    for run_id in ids.values():
        made = results.get_run(worker.engine, run_id)
        assert (made.status, made.error) == ("succeeded", None)
    return {**ids, "eql": base}


def test_the_head_with_initial_biases_is_built_again_for_later_steps(worker, steps):
    assert results.get_run(worker.engine, steps["eql"]).facts.heads == (("linear", {"prior": 0.001}),)


@pytest.mark.parametrize("key", ["ncm", "equal_tpr_bias", "tau_norm", "logit_adjusted_posthoc"])
def test_distances_have_no_loss_and_no_calibration(worker, steps, key):
    frame = results.epochs(worker.engine, [steps[key]])
    assert frame["accuracy"].notna().all()
    expected = key != "ncm"
    assert (frame["loss"].notna() == expected).all()
    assert (frame["ece"].notna() == expected).all()


def test_few_validation_samples_are_told_in_the_log(worker, steps):
    support = results.class_counts(worker.engine, steps["equal_tpr_bias"], "validation").support
    assert np.max(support) < 25
    warning = text.of(BiasFewSamples(10, 10, 25, int(np.min(support))))
    assert f"warning: {warning}" in log_of(worker, steps["equal_tpr_bias"])
    assert "warning" not in log_of(worker, steps["tau_norm"])


@pytest.mark.parametrize("key", ["ncm", "equal_tpr_bias", "tau_norm", "logit_adjusted_posthoc"])
def test_the_bias_of_a_step_is_kept_with_every_digit(worker, steps, key):
    frame = results.epochs(worker.engine, [steps[key]], "test")
    logged = [e.text for e in events.log_of(worker.engine, steps[key]) if e.text.startswith("bias per class: ")]
    kept = frame["info"].iloc[-1].get(STORED_BIAS)
    assert (kept is None) == (not logged)
    assert (kept is None) == (key in ("ncm", "tau_norm"))
    if kept is not None:
        assert logged == ["bias per class: " + ", ".join(f"{v:.3f}" for v in kept)]
        assert len(kept) == 10
    assert ("Added to the logits" in words_on(visit(RUN, id=str(steps[key])))) == (kept is not None)


def test_the_page_of_a_run_without_a_loss(steps):
    at = visit(RUN, id=str(steps["ncm"]))
    assert "this step outputs distances" in words_on(at)
    assert "this step outputs distances" not in words_on(visit(RUN, id=str(steps["equal_tpr_bias"])))


def test_exports_of_a_run_without_a_loss(worker, steps, monkeypatch):
    from typer.testing import CliRunner

    import cli

    for words in (
        ["show", str(steps["ncm"])],
        ["show", str(steps["ncm"]), "--json"],
        ["compare", str(steps["eql"]), str(steps["ncm"])],
    ):
        told = CliRunner().invoke(cli.app, words)
        assert told.exit_code == 0, told.output
        assert "nan" not in told.output.lower()
