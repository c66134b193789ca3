"""New run: what can be selected, previewed, duplicated and started, and what is refused with which message."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import update

from core.experiment.config import SETTINGS
from core.experiment.tpr_file import parse
from pages.components.common import param_fields
from pages.components.common.prefill import Prefill
from storage import results
from storage.db.connection import open_database
from storage.db.migrate import upgrade
from storage.db.schema import run
from storage.jobs import queue
from tests.pages.kit import NEW, RUN, TPRS, visit, without_its_baseline, words_on

pytestmark = pytest.mark.slow


def test_new_run_without_a_finished_run_offers_to_train_the_baseline_too(empty):
    at = visit(NEW)
    assert at.selectbox(key="new_baseline").value == "first"
    at.button(key="new_start").click().run()
    assert results.list_runs(empty).sort_values("id")["method"].tolist() == ["none", "tpr_ratio"]


def test_start_queues_once_and_opens_the_runs_page(full):
    engine, _ = full
    before = len(results.list_runs(engine))
    at = visit(NEW)
    at.button(key="new_start").click().run()
    assert not at.exception
    runs = results.list_runs(engine)
    assert len(runs) == before + 1
    assert at.query_params["id"] == str(runs["id"].max())


def test_a_double_click_starts_one_run(full):
    engine, _ = full
    before = len(results.list_runs(engine))
    at = visit(NEW)
    key = at.session_state["new_submit_key"]
    at.button(key="new_start").click().run()
    again = visit(NEW)
    again.session_state["new_submit_key"] = key  # the second click of the same form view
    again.button(key="new_start").click().run()
    assert len(results.list_runs(engine)) == before + 1


def test_the_value_at_release_is_the_one_that_starts(full):
    engine, _ = full
    at = visit(NEW)
    at.session_state["new_preview_tpr_ratio"] = {"released": {"value": 3.5, "count": 1}}
    at.run()
    at.button(key="new_start").click().run()
    newest = int(results.list_runs(engine)["id"].max())
    assert results.get_run(engine, newest).config.params["exponent"] == 3.5


def test_replicates_take_consecutive_seeds(full):
    engine, _ = full
    at = visit(NEW)
    at.number_input(key="new_replicates").set_value(3).run()
    at.button(key="new_start").click().run()
    newest = results.list_runs(engine).sort_values("id").tail(3)
    assert newest["seed"].tolist() == [0, 1, 2]
    assert newest["group_sha"].nunique() == 1


def test_only_fitting_models_are_offered_and_the_others_explained(empty):
    at = visit(NEW)
    box = at.selectbox(key="model")
    assert "CNN-1D" in box.options
    assert "LeNet-5" not in box.options
    assert "LeNet-5" in box.help


def every_method():
    from core.methods import METHODS

    return METHODS.keys


@pytest.mark.parametrize("method", every_method())
def test_every_method_can_be_previewed_and_started(full, method):
    engine, _ = full
    at = visit(NEW)
    at.selectbox(key="method").set_value(method).run()
    assert not at.exception
    assert not at.error
    at.button(key="new_start").click().run()
    newest = int(results.list_runs(engine)["id"].max())
    assert results.get_run(engine, newest).method == method


@pytest.mark.parametrize(("text", "part"), [("0.9,0.8", "10"), ("class,tpr\n0,high", "high"), ("1.5\n" * 10, "1.5")])
def test_bad_tprs_are_named_and_nothing_can_start(full, text, part):
    at = visit(NEW)
    at.selectbox(key="new_baseline").set_value("given").run()
    at.text_area(key="new_tpr_text").set_value(text).run()
    assert part in at.error[0].value.replace("\\", "")
    assert at.button(key="new_start").disabled


def test_pasted_tprs_start_a_run_without_a_baseline(full):
    engine, _ = full
    at = visit(NEW)
    at.selectbox(key="new_baseline").set_value("given").run()
    at.text_area(key="new_tpr_text").set_value("\n".join(f"0.{d}" for d in range(90, 80, -1))).run()
    assert not at.error
    at.button(key="new_start").click().run()
    row = results.get_run(engine, int(results.list_runs(engine)["id"].max()))
    assert row.baseline_id is None
    assert row.config.tpr[0] == pytest.approx(0.90)


def test_the_command_and_the_snippet_can_be_copied(full):
    code = "\n".join(c.value for c in visit(NEW).code)
    assert "cli.py run" in code
    assert "torch" in code


def test_duplicating_a_run_whose_baseline_is_gone_offers_its_own_tprs(full):
    engine, ids = full
    without_its_baseline(engine, ids)
    at = visit(RUN, id=str(ids["weighted"]))
    at.button(key="run_duplicate").click().run()
    assert not at.exception
    assert (at.title[0].value, at.selectbox(key="new_baseline").value) == ("New run", "given")
    tpr, support = parse(at.text_area(key="new_tpr_text").value, [str(d) for d in range(10)])
    assert tpr[:9].tolist() == TPRS[:9]
    assert np.isnan(tpr[9])
    assert support.tolist() == [200.0] * 9 + [0.0]
    assert at.selectbox(key="method").value == "tpr_ratio"


def test_duplicating_a_run_that_never_had_tprs_takes_those_of_no_other_run(full):
    engine, ids = full
    queue.ask(engine, ids["queued"], "cancel")
    with engine.begin() as c:
        c.execute(update(run).where(run.c.id == ids["queued"]).values(baseline_id=None))
    at = visit(RUN, id=str(ids["queued"]))
    at.button(key="run_duplicate").click().run()
    assert at.selectbox(key="new_baseline").value == "first"


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_a_run_that_ended_early_says_why_its_tprs_cannot_be_used(full, state):
    _, ids = full
    at = visit(RUN, id=str(ids[state]))
    assert "run_use" not in [b.key for b in at.button]
    assert "Its TPRs can provide weights once its last epoch is trained" in words_on(at)
    assert "last epoch is trained" not in words_on(visit(RUN, id=str(ids["baseline"])))


def test_a_model_that_fits_the_dataset_takes_the_place_of_one_that_does_not(empty):
    at = visit(NEW)
    at.selectbox(key="model").set_value("cnn1d").run()
    at.selectbox(key="dataset").set_value("cifar10").run()
    assert at.selectbox(key="model").value != "cnn1d"
    assert "CNN-1D" not in at.selectbox(key="model").options
    at.button(key="new_start").click().run()
    assert not at.error
    assert set(results.list_runs(empty)["dataset"]) == {"cifar10"}


def test_a_batch_larger_than_a_small_dataset_is_not_offered(tmp_path, monkeypatch):
    """The default is lowered to the number of samples; a larger value disables Start, and the reason names the number."""
    from PIL import Image

    from core.datasets import prepare

    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    upgrade(open_database(role="worker"))
    for name in ("ant", "bee"):
        (tmp_path / "insects" / name).mkdir(parents=True)
        for i in range(30):
            Image.new("RGB", (16, 16), (i, 90, 9)).save(tmp_path / "insects" / name / f"{i}.png")
    spec = prepare("insects", tmp_path)
    samples = int(spec.train_counts.sum())
    at = visit(NEW)
    at.session_state["new_prefill"] = Prefill(dataset=spec.key)
    at.run()
    batch = next(n for n in at.number_input if n.label == "Batch size")
    assert batch.value == samples
    assert not at.button(key="new_start").disabled
    batch.set_value(samples + 1).run()
    assert at.button(key="new_start").disabled
    assert any(
        f"Batch size {samples + 1} is larger than the training split of {samples} samples" in c.value
        for c in at.caption
    )


def test_new_run_shows_every_setting_of_a_run(empty):
    """It is listed in one place, core/experiment/config.py."""
    at = visit(NEW, dataset="digits")  # without a validation split of its own
    assert [p.key for p in SETTINGS if param_fields.key_of("run", p) not in at.session_state] == []
