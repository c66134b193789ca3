"""Every screen through Streamlit's AppTest, from the entry file: what a person sees and what a click leaves in the database."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import streamlit
from seed import config_of, mnist1d, small, submit, train, worker_of
from sqlalchemy import select, update
from streamlit.testing.v1 import AppTest

from core.tprs import parse
from pages.parts.palette import LIGHT
from storage import queue, results
from storage.engine import open_database
from storage.migrate import upgrade
from storage.tables import detail, run
from storage.workers import Place, state_text

ROOT = Path(__file__).resolve().parents[1]
HOME, NEW, RUNS, RUN, COMPARE = (f"pages/views/{name}.py" for name in ("home", "new_run", "runs", "run", "compare"))
VIEWS = [HOME, NEW, RUNS, RUN, COMPARE]


@pytest.fixture(scope="session")
def seeded(tmp_path_factory):
    """A data folder with one of everything, made once; tests work on copies."""
    root = tmp_path_factory.mktemp("seeded")
    engine = open_database(f"sqlite:///{root}/evenly.db", role="worker")
    upgrade(engine)
    ids = small(engine)
    engine.dispose()
    return root, ids


@pytest.fixture
def full(seeded, tmp_path, monkeypatch):
    """The seeded folder as this test's own; returns (engine, ids)."""
    root, ids = seeded
    shutil.copytree(root, tmp_path / "data")
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("EVENLY_DATABASE_URL", raising=False)
    return open_database(), ids


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A migrated database without a run."""
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    monkeypatch.delenv("EVENLY_DATABASE_URL", raising=False)
    engine = open_database(role="worker")
    upgrade(engine)
    return engine


def visit(page: str = HOME, **query: str) -> AppTest:
    """The app on a page, as a browser would open it."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
    at.run()
    if page != HOME:
        at.switch_page(page)
    for key, value in query.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception, at.exception
    return at


def words_on(at: AppTest) -> str:
    """All text of the page."""
    kinds = ("title", "subheader", "markdown", "caption", "error", "warning", "info", "code", "button")
    return "\n".join(str(getattr(e, "value", "") or getattr(e, "label", "")) for kind in kinds for e in getattr(at, kind))


@pytest.mark.parametrize("page", VIEWS)
def test_every_page_opens_on_an_empty_database(empty, page):
    assert visit(page).title


@pytest.mark.parametrize("page", VIEWS)
def test_every_page_opens_on_a_full_database(full, page):
    _, ids = full
    at = visit(page, **({"id": str(ids["weighted"])} if page == RUN else {}))
    assert at.title
    assert not at.error


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_take_the_theme_of_the_browser(full, theme):
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
    at.context = {"theme": theme}
    at.run()
    spec = at.get("plotly_chart")[0].proto.spec
    assert {"light": "#0B65C2", "dark": "#3B82F6"}[theme] in spec
    assert at.get("plotly_chart")[0].proto.alt.startswith("TPR per class")


# -- home --------------------------------------------------------------------------------------------------------


def test_home_says_what_will_appear_before_there_is_anything(empty):
    at = visit()
    assert "Nothing to compare yet" in words_on(at)
    assert not at.get("plotly_chart")


def test_the_one_button_queues_a_baseline_and_a_weighted_run_once(empty):
    at = visit()
    at.button(key="home_start").click().run()
    runs = results.list_runs(empty).sort_values("id")
    assert runs["method"].tolist() == ["none", "tpr_ratio"]
    assert results.get_run(empty, int(runs["id"].iloc[1])).baseline_id == runs["id"].iloc[0]
    assert at.button(key="home_start").disabled
    assert visit().button(key="home_start").disabled  # another tab


def test_two_tabs_that_saw_the_same_state_start_it_once(empty):
    one, two = visit(), visit()
    one.button(key="home_start").click().run()
    two.button(key="home_start").click().run()
    assert len(results.list_runs(empty)) == 2


def test_when_both_runs_have_finished_home_leads_to_their_comparison(empty):
    at = visit()
    at.button(key="home_start").click().run()
    worker = worker_of(empty)
    train(empty, worker, mnist1d(), 20)
    train(empty, worker, mnist1d(0.4), 20)
    at.run()
    assert at.title[0].value == "Compare"
    assert at.query_params["a"] == "1"
    assert at.query_params["b"] == "2"


def test_home_shows_the_latest_pair_and_five_runs(full):
    at = visit()
    assert "The latest comparison" in words_on(at)
    assert len([e for e in at.get("page_link") if e.proto.label.startswith(("MNIST", "CIFAR"))]) == 5


# -- the worker's state ------------------------------------------------------------------------------------------


def test_without_a_worker_the_sidebar_says_how_to_start_one(empty):
    assert "python worker.py" in "\n".join(c.value for c in visit().sidebar.caption)


def test_the_sidebar_names_the_run_being_trained(full):
    engine, ids = full
    queue.beat(engine, 1)
    text = "\n".join(m.value for m in visit().sidebar.markdown)
    assert f"run {ids['running']}" in text


def notices(at):
    return [w.value for w in at.warning if "No worker is running" in w.value]


@pytest.mark.parametrize(("page", "query"), [(HOME, None), (NEW, None), (RUNS, None), (RUN, "queued")])
def test_where_a_run_would_wait_the_page_itself_says_how_to_start_a_worker(full, page, query):
    engine, ids = full
    queue.stop_worker(engine, 1)
    address = {"id": str(ids[query])} if query else {}
    assert len(notices(visit(page, **address))) == 1
    assert "python worker.py" in notices(visit(page, **address))[0]
    queue.beat(engine, worker_of(engine))
    assert notices(visit(page, **address)) == []


def test_a_finished_run_needs_no_word_about_workers(full):
    engine, ids = full
    queue.stop_worker(engine, 1)
    assert notices(visit(RUN, id=str(ids["baseline"]))) == []


# -- new run -----------------------------------------------------------------------------------------------------


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
    at.session_state["new_preview_tpr_ratio"] = {"value": 3.5}
    at.run()
    at.button(key="new_start").click().run()
    newest = int(results.list_runs(engine)["id"].max())
    assert results.get_run(engine, newest).config["params"]["exponent"] == 3.5


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
    assert row.config["tpr"][0] == pytest.approx(0.90)


def test_the_command_and_the_snippet_can_be_copied(full):
    code = "\n".join(c.value for c in visit(NEW).code)
    assert "cli.py run" in code
    assert "torch" in code


# -- runs --------------------------------------------------------------------------------------------------------


def test_the_table_filters_by_state_and_text(full):
    _, ids = full
    at = visit(RUNS)
    assert len(at.dataframe[0].value) == len(ids)
    at.selectbox(key="status").set_value("failed").run()
    assert at.dataframe[0].value["id"].tolist() == [ids["failed"]]
    at.selectbox(key="status").set_value("all")
    at.text_input(key="q").set_value("CIFAR").run()
    assert set(at.dataframe[0].value["id"]) == {ids["hundred"], ids["hundred_weighted"]}
    assert f"2 of {len(ids)} runs shown" in words_on(at)


def test_archived_runs_leave_the_list_until_asked_for(full):
    engine, ids = full
    results.archive(engine, [ids["stopped"]], True)
    at = visit(RUNS)
    assert ids["stopped"] not in at.dataframe[0].value["id"].tolist()
    at.toggle(key="archived").set_value(True).run()
    assert ids["stopped"] in at.dataframe[0].value["id"].tolist()


def test_archiving_can_be_undone_at_once(full):
    engine, ids = full
    at = visit(RUNS)
    results.archive(engine, [ids["stopped"]], True)
    at.session_state["runs_archived"] = ([ids["stopped"]], True)  # AppTest cannot tick rows
    at.run()
    assert ids["stopped"] not in at.dataframe[0].value["id"].tolist()
    assert f"Run {ids['stopped']} archived" in words_on(at)
    at.button(key="runs_undo").click().run()
    assert ids["stopped"] in at.dataframe[0].value["id"].tolist()
    assert "runs_undo" not in [b.key for b in at.button]


def test_the_state_says_how_far_a_run_is_and_whether_it_is_archived(full):
    engine, ids = full
    results.archive(engine, [ids["baseline"]], True)
    at = visit(RUNS, archived="true")
    state = dict(zip(at.dataframe[0].value["id"], at.dataframe[0].value["state"].str.replace("\u00a0", " "), strict=True))
    assert re.fullmatch(r"Running 45 %, \d+ s left", state[ids["running"]])
    assert state[ids["failed"]] == "Failed at 15 %"
    assert state[ids["queued"]] == "Queued"
    assert state[ids["weighted"]] == "Succeeded"
    assert state[ids["baseline"]] == "Succeeded, archived"


def test_the_columns_that_matter_come_first_and_further_ones_when_chosen(full):
    at = visit(RUNS)
    first = list(at.dataframe[0].proto.column_order)
    assert {"state", "name", "method", "model", "accuracy", "tpr_variance", "tpr_min"} <= set(first)
    assert "best_accuracy" not in first
    at.multiselect(key="columns").set_value(["tags", "best_accuracy"]).run()
    assert list(at.dataframe[0].proto.column_order)[3:5] == ["tags", "best_accuracy"]


def test_a_phone_gets_the_columns_that_fit_it(full):
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30).run()
    at.switch_page(RUNS)
    at.session_state["narrow_window"] = True  # what the browser says of its window
    at.run()
    assert list(at.dataframe[0].proto.column_order)[:4] == ["name", "state", "accuracy", "tpr_variance"]


def test_actions_are_off_until_rows_are_chosen(full):
    at = visit(RUNS)
    assert all(at.button(key=f"runs_{k}").disabled for k in ("open", "compare", "edit", "archive", "delete"))


def ticked(monkeypatch, ids):
    """Have the table say that the rows of these runs are ticked: AppTest cannot tick."""
    real = streamlit.dataframe

    def dataframe(frame, *args, **options):
        event = real(frame, *args, **options)
        if "selection_mode" not in options:
            return event
        return SimpleNamespace(selection=SimpleNamespace(rows=[i for i, run_id in enumerate(frame["id"]) if run_id in ids], cells=[]))

    monkeypatch.setattr(streamlit, "dataframe", dataframe)


def test_chosen_runs_are_paused_resumed_and_stopped_as_far_as_that_makes_sense(full, monkeypatch):
    engine, ids = full
    ticked(monkeypatch, {ids["baseline"], ids["running"], ids["queued"], ids["stopped"]})
    at = visit(RUNS)
    at.button(key="runs_pause").click().run()
    assert (results.get_run(engine, ids["running"]).wanted, results.get_run(engine, ids["queued"]).status) == ("pause", "paused")
    at.button(key="runs_run").click().run()
    assert [results.get_run(engine, ids[k]).status for k in ("queued", "stopped", "baseline", "failed")] == ["queued", "queued", "succeeded", "failed"]
    at.button(key="runs_cancel").click().run()
    assert [results.get_run(engine, ids[k]).status for k in ("queued", "stopped")] == ["cancelled", "cancelled"]
    assert not at.exception


def test_finished_runs_offer_nothing_to_pause_or_stop(full, monkeypatch):
    _, ids = full
    ticked(monkeypatch, {ids["baseline"]})
    keys = {b.key for b in visit(RUNS).button}
    assert not keys & {"runs_pause", "runs_run", "runs_cancel"}
    assert "runs_delete" in keys


def test_the_question_before_deleting_names_who_took_tprs_from_a_run(full, monkeypatch):
    _, ids = full
    ticked(monkeypatch, {ids["baseline"]})
    at = visit(RUNS)
    at.button(key="runs_delete").click().run()
    text = words_on(at)
    for dependant in ("weighted", "running", "queued"):
        assert f"run {ids[dependant]} took its TPRs from run {ids['baseline']}" in text
    assert f"run {ids['dynamic']} is compared with run {ids['baseline']}" in text
    ticked(monkeypatch, {ids["hundred_weighted"]})
    at = visit(RUNS)
    at.button(key="runs_delete").click().run()
    assert "These stay" not in words_on(at)


def test_a_search_takes_words_in_any_order(full):
    _, ids = full
    at = visit(RUNS)
    at.text_input(key="q").set_value("tpr mnist").run()
    assert ids["weighted"] in at.dataframe[0].value["id"].tolist()
    assert ids["baseline"] not in at.dataframe[0].value["id"].tolist()


def test_what_another_page_was_asked_for_leaves_the_address(full):
    _, ids = full
    at = visit(RUNS, a="1", b="2", q="CIFAR")
    assert set(at.query_params) == {"q"}
    at = visit(RUN, id=str(ids["baseline"]), a="1")
    assert set(at.query_params) == {"id"}


# -- a run's page ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["baseline", "weighted", "dynamic", "hundred_weighted", "failed", "stopped", "running", "queued"])
def test_a_run_of_every_state_can_be_looked_at(full, state):
    _, ids = full
    at = visit(RUN, id=str(ids[state]))
    assert not at.exception
    assert at.title[0].value


def test_a_failed_run_says_why(full):
    _, ids = full
    at = visit(RUN, id=str(ids["failed"]))
    assert "not finite at epoch 4" in at.error[0].value


def test_stop_pause_and_resume_are_written_as_wishes(full):
    engine, ids = full
    visit(RUN, id=str(ids["running"])).button(key="run_pause").click().run()
    assert results.get_run(engine, ids["running"]).wanted == "pause"
    at = visit(RUN, id=str(ids["queued"]))
    at.button(key="run_stop").click().run()
    assert results.get_run(engine, ids["queued"]).status == "cancelled"
    at.button(key="run_resume").click().run()
    assert results.get_run(engine, ids["queued"]).status == "queued"


def test_a_run_says_at_which_step_it_is_and_what_its_worker_warns_of(full):
    engine, ids = full
    worker = queue.workers(engine)[0]
    queue.beat(engine, worker.id, state_text(Place(ids["running"], 10, 479, 3516, 900.0), "no step for 12 min"))
    at = visit(RUN, id=str(ids["running"]))
    assert "epoch 10 of 20, step 479 of 3,516" in words_on(at)
    assert at.warning[0].value.startswith("No step for 12 min. ")
    assert sum("No step for 12 min" in c.value for c in at.sidebar.caption) == 1
    state = visit(RUNS).dataframe[0].value.set_index("id")["state"][ids["running"]]
    assert state.replace("\u00a0", " ").startswith("Running 46 %")


def test_a_run_paused_before_its_first_epoch_is_called_paused(full):
    engine, ids = full
    queue.ask(engine, ids["queued"], "pause")
    assert "This run is paused before its first epoch" in words_on(visit(RUN, id=str(ids["queued"])))
    queue.ask(engine, ids["queued"], "cancel")
    assert "This run was stopped before its first epoch" in words_on(visit(RUN, id=str(ids["queued"])))


def test_a_run_can_be_downloaded_as_figures(full):
    _, ids = full
    assert {"run_csv", "run_json", "run_html"} <= {b.key for b in visit(RUN, id=str(ids["weighted"])).get("download_button")}


TPRS = [round(0.5 + i / 30, 17) for i in range(9)] + [None]


def without_its_baseline(engine, ids):
    """The weighted run as it is left when its baseline has been deleted."""
    with engine.begin() as c:
        facts = c.scalar(select(detail.c.facts).where(detail.c.run_id == ids["weighted"]))
        evidence = {"tpr": TPRS, "support": [200.0] * 9 + [0.0], "from": f"run {ids['baseline']}, validation split, epoch 20"}
        c.execute(update(detail).where(detail.c.run_id == ids["weighted"]).values(facts={**facts, "evidence": evidence}))
        c.execute(update(run).where(run.c.baseline_id == ids["baseline"]).values(baseline_id=None))
    results.delete(engine, [ids["baseline"]])


def test_a_run_keeps_a_trace_of_its_deleted_baseline(full):
    engine, ids = full
    assert f"weights from run {ids['baseline']}" in words_on(visit(RUN, id=str(ids["weighted"])))
    without_its_baseline(engine, ids)
    at = visit(RUN, id=str(ids["weighted"]))
    assert f"TPRs of run {ids['baseline']}, deleted" in words_on(at)
    assert LIGHT.after in str(at.get("plotly_chart")[0].proto)  # drawn as a weighted run, not as a baseline


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
    assert "Its TPRs can feed weights once its last epoch is trained" in words_on(at)
    assert "last epoch is trained" not in words_on(visit(RUN, id=str(ids["baseline"])))


@pytest.mark.parametrize("address", ["999", "abc", "-1", "1e3", "9" * 40])
def test_an_address_without_a_run_says_so(full, address):
    assert visit(RUN, id=address).title[0].value == "No such run"


def test_its_tprs_lead_to_a_new_run_with_this_baseline(full):
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


# -- compare -----------------------------------------------------------------------------------------------------


def test_the_address_restores_the_comparison(full):
    _, ids = full
    at = visit(COMPARE, a=str(ids["baseline"]), b=str(ids["dynamic"]))
    assert at.selectbox(key="compare_a").value == ids["baseline"]
    assert at.selectbox(key="compare_b").value == ids["dynamic"]
    assert "ariance" in at.markdown[0].value
    assert len(at.metric) == 4


def test_swapping_turns_the_change_round(full):
    _, ids = full
    at = visit(COMPARE, a=str(ids["baseline"]), b=str(ids["weighted"]))
    first = at.metric[0].delta
    at.button(key="compare_swap").click().run()
    assert at.selectbox(key="compare_a").value == ids["weighted"]
    assert at.metric[0].delta.lstrip("+-") == first.lstrip("+-")
    assert at.metric[0].delta != first


def test_runs_on_other_classes_are_refused_in_words(full):
    _, ids = full
    at = visit(COMPARE, a=str(ids["baseline"]), b=str(ids["hundred"]))
    assert "different classes" in at.warning[0].value


def test_more_than_sixty_classes_open_as_a_strip_that_can_be_searched(full):
    _, ids = full
    at = visit(COMPARE, a=str(ids["hundred"]), b=str(ids["hundred_weighted"]))
    assert not at.exception
    assert at.selectbox(key="compare_find")


def test_only_settings_that_differ_are_listed(full):
    _, ids = full
    at = visit(COMPARE, a=str(ids["baseline"]), b=str(ids["weighted"]))
    table = next(d.value for d in at.dataframe if "setting" in d.value)
    settings = table["setting"].str.lower().tolist()
    assert "method" in settings
    assert "epochs" not in settings


# -- trouble -----------------------------------------------------------------------------------------------------


def test_a_database_that_is_not_there_is_a_message_page(tmp_path, monkeypatch):
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path / "nowhere"))
    monkeypatch.delenv("EVENLY_DATABASE_URL", raising=False)
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30).run()
    assert not at.exception
    assert at.error
    assert "make run" in words_on(at)


def test_a_newer_database_is_refused_in_words(empty):
    from storage.engine import write

    write(empty, lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999_from_the_future'"))
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30).run()
    assert not at.exception
    assert at.error


def test_a_file_that_is_no_database_is_a_message_page(tmp_path, monkeypatch):
    (tmp_path / "evenly.db").write_bytes(b"not a database " * 100)
    monkeypatch.setenv("EVENLY_DATA", str(tmp_path))
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30).run()
    assert not at.exception
    assert at.error


# -- speed and imports -------------------------------------------------------------------------------------------


def test_a_run_that_names_no_method_we_know_is_still_listed(full):
    engine, _ = full
    submit(engine, config_of(), "from another version")
    assert "from another version" in visit(RUNS).dataframe[0].value["name"].tolist()


def test_pages_never_import_torch(seeded):
    root, ids = seeded
    code = f"""
import os, sys
os.environ["EVENLY_DATA"] = {str(root)!r}
from streamlit.testing.v1 import AppTest
at = AppTest.from_file("app.py", default_timeout=60).run()
for page in {VIEWS!r}:
    at.switch_page(page)
    at.query_params["id"] = "{ids['weighted']}"
    at.run()
    assert not at.exception, at.exception
bad = {{"torch", "torchvision", "sklearn"}} & set(sys.modules)
assert not bad, bad
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


# -- seeds and faults --------------------------------------------------------------------------------------------


def test_more_seeds_are_paired_replicates_and_asked_for_once(full):
    engine, ids = full
    results.delete(engine, [ids["queued"]])
    queue.ask(engine, ids["running"], "cancel")
    queue.rescue(engine, lambda worker: False)
    before = len(results.list_runs(engine))
    address = {"a": str(ids["baseline"]), "b": str(ids["weighted"])}
    at, other = visit(COMPARE, **address), visit(COMPARE, **address)
    at.button(key="compare_seeds").click().run()
    other.button(key="compare_seeds").click().run()
    new = results.list_runs(engine).sort_values("id").tail(4)
    assert len(results.list_runs(engine)) == before + 4
    assert new["seed"].tolist() == [1, 1, 2, 2]
    assert new["method"].tolist() == ["none", "tpr_ratio"] * 2
    assert new["baseline_id"].iloc[1] == new["id"].iloc[0]
    assert new["group_sha"].iloc[0] == results.get_run(engine, ids["baseline"]).group_sha


def finished_pair(engine, seed, end="succeeded"):
    """The first comparison's two runs with this seed, trained; `end` is how the weighted one ends."""
    from core.presets import FIRST
    from pages.parts.launch import pair

    ids = queue.submit(engine, pair(replace(FIRST.baseline, seed=seed), replace(FIRST.weighted, seed=seed), FIRST.dataset_label))
    worker = worker_of(engine)
    train(engine, worker, mnist1d(0, seed), 20, seed=seed)
    train(engine, worker, mnist1d(0.4, seed), 20, seed=seed, end=end)
    return [str(i) for i in ids]


def after_a_click_on_add(engine, a, b):
    """Ids of the runs that "Add seeds" queued for this pair."""
    at = visit(COMPARE, a=a, b=b)
    had = set(results.list_runs(engine, archived=None)["id"])
    at.button(key="compare_seeds").click().run()
    assert not at.error
    frame = results.list_runs(engine, archived=None).sort_values("id")
    return frame[~frame["id"].isin(had)]


def test_added_seeds_are_those_that_no_run_of_the_group_has(empty):
    first = finished_pair(empty, 0)
    second = finished_pair(empty, 1)
    results.archive(empty, [int(i) for i in second])
    new = after_a_click_on_add(empty, *first)
    assert new["seed"].tolist() == [2, 2]
    assert new["baseline_id"].iloc[1] == new["id"].iloc[0]
    assert set(new["group_sha"]) == {results.get_run(empty, int(i)).group_sha for i in first}


def test_seeds_can_be_added_again_after_they_were_stopped(empty):
    first = finished_pair(empty, 0)
    new = after_a_click_on_add(empty, *first)
    assert new["seed"].tolist() == [1, 1, 2, 2]
    for run_id in new["id"]:
        queue.ask(empty, int(run_id), "cancel")
    again = after_a_click_on_add(empty, *first)
    assert again["seed"].tolist() == [1, 1, 2, 2]


def test_a_view_from_before_another_submission_adds_nothing_twice(empty):
    a, b = finished_pair(empty, 0)
    old = visit(COMPARE, a=a, b=b)
    submit(empty, config_of(epochs=3), "something else")
    after_a_click_on_add(empty, a, b)
    had = len(results.list_runs(empty))
    old.button(key="compare_seeds").click().run()
    assert len(results.list_runs(empty)) == had


def test_two_weighted_runs_get_new_seeds_from_the_baseline_of_the_same_seed(empty):
    """Neither side is the baseline: one replicate of it per seed serves both, and one that is there already is used."""
    base, one = finished_pair(empty, 0)
    finished_pair(empty, 1, end="cancelled")
    there = int(results.list_runs(empty, text="seed 1")["baseline_id"].max())
    row = results.get_run(empty, int(base))
    other = submit(empty, config_of(**{k: row.config[k] for k in ("recipe", "epochs")}, method="tpr_deficit"), "deficit", int(base))
    train(empty, worker_of(empty), mnist1d(0.3), 20)
    new = after_a_click_on_add(empty, one, str(other))
    assert new["seed"].tolist() == [1, 1, 2, 2, 2]
    assert new["method"].tolist() == ["tpr_ratio", "tpr_deficit", "none", "tpr_ratio", "tpr_deficit"]
    assert new["baseline_id"].iloc[:2].tolist() == [there] * 2
    assert new["baseline_id"].iloc[3:].tolist() == [new["id"].iloc[2]] * 2


def test_seeds_of_a_run_whose_baseline_is_gone_are_refused_in_words(empty):
    base, weighted = finished_pair(empty, 0)
    other = finished_pair(empty, 1)[0]
    results.delete(empty, [int(base)])
    at = visit(COMPARE, a=other, b=weighted)
    had = len(results.list_runs(empty))
    at.button(key="compare_seeds").click().run()
    assert "baseline was deleted" in at.error[0].value
    assert len(results.list_runs(empty)) == had


def test_homes_button_works_after_the_first_pair_was_archived(empty):
    at = visit()
    at.button(key="home_start").click().run()
    worker = worker_of(empty)
    train(empty, worker, mnist1d(), 20)
    train(empty, worker, mnist1d(0.4), 20)
    results.archive(empty, [1, 2])
    visit().button(key="home_start").click().run()
    new = results.list_runs(empty).sort_values("id")
    assert new["id"].tolist() == [3, 4]
    assert new["seed"].tolist() == [1, 1]


def test_an_old_sqlite_is_told_on_the_runs_page(full, monkeypatch):
    assert "SQLite" not in words_on(visit(RUNS))
    monkeypatch.setattr("storage.engine.sqlite_warning", lambda: "SQLite 3.40.1 can, rarely, damage a database")
    assert "SQLite 3.40.1 can, rarely, damage a database" in words_on(visit(RUNS)).replace("\\", "")


def test_a_run_that_cannot_be_read_is_not_called_unknown(full):
    from storage.engine import write

    engine, ids = full
    visit()  # the schema is looked at once, when the database is opened
    write(engine, lambda c: c.exec_driver_sql("ALTER TABLE detail RENAME COLUMN facts TO findings"))
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30).run()
    at.switch_page(RUN)
    at.query_params["id"] = str(ids["baseline"])
    at.run()
    assert not at.exception
    assert "No such run" not in words_on(at)
    assert "older Evenly" in at.error[0].value


def test_the_runs_page_reads_the_list_once_a_view(full, monkeypatch):
    from pages.parts import reads

    at, calls = visit(RUNS), []
    whole = reads.runs
    monkeypatch.setattr(reads, "runs", lambda **filters: calls.append(filters) or whole(**filters))
    at.run()
    assert len(calls) == 1


@pytest.mark.parametrize(("page", "query"), [(RUN, {"id": "baseline"}), (RUN, {"id": "dynamic"}), (COMPARE, {"a": "baseline", "b": "weighted"})])
def test_a_class_name_is_never_markup_in_a_picture(full, page, query):
    engine, ids = full
    from sqlalchemy import select, update

    from storage.engine import write
    from storage.tables import detail

    def rename(c):
        for row in c.execute(select(detail.c.run_id, detail.c.facts)).all():
            if row.facts and len(row.facts["classes"]) == 10:
                classes = ["<b>dog</b>", "a & <i>b</i>", *row.facts["classes"][2:]]
                c.execute(update(detail).where(detail.c.run_id == row.run_id).values(facts={**row.facts, "classes": classes}))

    write(engine, rename)
    at = visit(page, **{k: str(ids[v]) for k, v in query.items()})
    specs = [chart.proto.spec for chart in at.get("plotly_chart")]
    assert any("&lt;b&gt;dog" in spec for spec in specs)
    assert [m for spec in specs for m in re.findall(r".{30}(?:<|\\u003c)[bi](?:>|\\u003e).{30}", spec)] == []
    assert not any("<b>" in text for text in words_on(at).replace("\\<", "").split())


def test_a_database_that_refuses_a_write_is_told_and_the_page_stays(empty, monkeypatch):
    from pages.parts import launch
    from storage.engine import StorageError

    def locked(*_):
        raise StorageError("the database is locked by another program and did not come free; close that program and try again")

    at = visit()
    monkeypatch.setattr(launch, "submit", locked)
    at.button(key="home_start").click().run()
    assert "locked by another program" in at.error[0].value
    assert at.title[0].value == "No class left behind"
    assert results.list_runs(empty).empty


@pytest.mark.parametrize("query", [{"a": "1"}, {"a": "x", "b": "2"}, {"a": "1", "b": "77"}, {"a": "1", "b": "1"}])
def test_an_incomplete_comparison_asks_for_the_missing_side(full, query):
    at = visit(COMPARE, **query)
    assert not at.exception
    assert at.title[0].value == "Compare"


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
    """The default is lowered to what there is; a larger one typed in keeps Start off and says the number."""
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
    at.session_state["new_prefill"] = {"config": {"dataset": spec.key}}
    at.run()
    batch = next(n for n in at.number_input if n.label == "Batch size")
    assert batch.value == samples
    assert not at.button(key="new_start").disabled
    batch.set_value(samples + 1).run()
    assert at.button(key="new_start").disabled
    assert any(f"larger than the {samples} training samples" in c.value for c in at.caption)
