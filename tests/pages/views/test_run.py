"""The run page: every state, the control buttons, deleted baselines, invalid URLs."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from reporting.palette import LIGHT
from storage import results
from storage.jobs import queue, workers
from storage.jobs.workers import Place, state_text
from tests.pages.kit import ROOT, RUN, RUNS, visit, without_its_baseline, words_on


@pytest.mark.parametrize(
    "state", ["baseline", "weighted", "dynamic", "hundred_weighted", "failed", "stopped", "running", "queued"]
)
def test_a_run_of_every_state_has_a_page(full, state):
    _, ids = full
    at = visit(RUN, id=str(ids[state]))
    assert not at.exception
    assert at.title[0].value


def test_a_failed_run_shows_its_error(full):
    _, ids = full
    at = visit(RUN, id=str(ids["failed"]))
    assert "not finite at epoch 4" in at.error[0].value


def test_stop_pause_and_resume_are_recorded_as_requests(full):
    engine, ids = full
    visit(RUN, id=str(ids["running"])).button(key="run_pause").click().run()
    assert results.get_run(engine, ids["running"]).wanted == "pause"
    at = visit(RUN, id=str(ids["queued"]))
    at.button(key="run_stop").click().run()
    assert results.get_run(engine, ids["queued"]).status == "cancelled"
    at.button(key="run_resume").click().run()
    assert results.get_run(engine, ids["queued"]).status == "queued"


def test_a_run_shows_its_step_and_the_warnings_of_its_worker(full):
    engine, ids = full
    worker = workers.newest(engine)[0]
    workers.beat(engine, worker.id, state_text(Place(ids["running"], 10, 479, 3516, 900.0), 12))
    at = visit(RUN, id=str(ids["running"]))
    assert "epoch 10 of 20, step 479 of 3,516" in words_on(at)
    assert at.warning[0].value.startswith("No step for 12 min. If this is unexpected, restart Evenly")
    assert sum("No step for 12 min" in c.value for c in at.sidebar.caption) == 1
    state = visit(RUNS).dataframe[0].value.set_index("id")["state"][ids["running"]]
    assert state.replace("\u00a0", " ").startswith("Running 46 %")
    assert not any("No step" in w.value for w in visit(RUN, id=str(ids["queued"])).main.warning)


def test_the_progress_of_added_seeds_counts_the_steps_of_the_epoch(full):
    """As the other pages do; the run has done 9 epochs and four fifths of the tenth."""
    engine, ids = full

    def script(ids):
        from pages.components.compare import more_seeds

        more_seeds.seed_progress(ids)

    workers.beat(engine, workers.newest(engine)[0].id, state_text(Place(ids["running"], 10, 2813, 3516, 900.0), ""))
    at = AppTest.from_function(script, kwargs={"ids": (ids["running"],)}).run()
    assert not at.exception
    assert at.get("progress")[0].proto.value == 49  # 9.8 of 20 epochs


def test_a_run_paused_before_its_first_epoch_is_shown_as_paused(full):
    engine, ids = full
    queue.ask(engine, ids["queued"], "pause")
    assert "This run is paused before its first epoch" in words_on(visit(RUN, id=str(ids["queued"])))
    queue.ask(engine, ids["queued"], "cancel")
    assert "This run was stopped before its first epoch" in words_on(visit(RUN, id=str(ids["queued"])))


def test_the_metrics_of_a_run_can_be_downloaded(full):
    _, ids = full
    assert {"run_csv", "run_json", "run_html"} <= {
        b.key for b in visit(RUN, id=str(ids["weighted"])).get("download_button")
    }


def test_a_run_names_its_deleted_baseline(full):
    engine, ids = full
    assert f"weights from run {ids['baseline']}" in words_on(visit(RUN, id=str(ids["weighted"])))
    without_its_baseline(engine, ids)
    at = visit(RUN, id=str(ids["weighted"]))
    assert f"TPRs of run {ids['baseline']}, deleted" in words_on(at)
    assert LIGHT.after in str(at.get("plotly_chart")[0].proto)  # drawn as a weighted run, not as a baseline


@pytest.mark.parametrize("address", ["999", "abc", "-1", "1e3", "9" * 40])
def test_a_url_without_a_run_shows_a_message(full, address):
    assert visit(RUN, id=address).title[0].value == "No such run"


def test_use_its_tprs_opens_new_run_with_this_baseline(full):
    _, ids = full
    at = visit(RUN, id=str(ids["baseline"]))
    at.button(key="run_use").click().run()
    assert not at.exception
    assert at.title[0].value == "New run"
    assert at.selectbox(key="new_baseline").value == str(ids["baseline"])


def test_duplicate_fills_in_the_settings(full):
    engine, ids = full
    at = visit(RUN, id=str(ids["weighted"]))
    at.button(key="run_duplicate").click().run()
    assert not at.exception
    assert at.selectbox(key="method").value == "tpr_ratio"
    assert at.number_input(key="new_run_epochs").value == results.get_run(engine, ids["weighted"]).epochs


def test_names_are_shown_as_text(full):
    engine, ids = full
    results.rename(engine, ids["baseline"], "<script>alert(1)</script> **x**")
    assert "<script>" not in visit(RUN, id=str(ids["baseline"])).title[0].value.replace("\\<", "")


def test_a_run_that_cannot_be_read_is_not_reported_as_unknown(full):
    from storage.db.connection import write

    engine, ids = full
    visit()  # the schema is checked once, when the database is opened
    write(engine, lambda c: c.exec_driver_sql("ALTER TABLE detail RENAME COLUMN facts TO findings"))
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).run()
    at.switch_page(RUN)
    at.query_params["id"] = str(ids["baseline"])
    at.run()
    assert not at.exception
    assert "No such run" not in words_on(at)
    assert "older Evenly" in at.error[0].value
