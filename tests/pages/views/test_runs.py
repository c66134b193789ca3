"""Runs: the list, its filters and columns, and the actions on selected runs."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import streamlit
from streamlit.testing.v1 import AppTest

from storage import results
from tests.pages.kit import ROOT, RUN, RUNS, visit, words_on
from tests.seed import config_of, submit


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


def test_archived_runs_are_hidden_unless_requested(full):
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


def test_the_state_includes_progress_and_archived(full):
    engine, ids = full
    results.archive(engine, [ids["baseline"]], True)
    at = visit(RUNS, archived="true")
    state = dict(
        zip(at.dataframe[0].value["id"], at.dataframe[0].value["state"].str.replace("\u00a0", " "), strict=True)
    )
    assert re.fullmatch(r"Running 45 %, \d+ s left", state[ids["running"]])
    assert state[ids["failed"]] == "Failed at 15 %"
    assert state[ids["queued"]] == "Queued"
    assert state[ids["weighted"]] == "Succeeded"
    assert state[ids["baseline"]] == "Succeeded, archived"


def test_the_main_columns_come_first_and_further_ones_when_selected(full):
    at = visit(RUNS)
    first = list(at.dataframe[0].proto.column_order)
    assert {"state", "name", "method", "model", "accuracy", "tpr_variance", "tpr_min"} <= set(first)
    assert "best_accuracy" not in first
    at.multiselect(key="columns").set_value(["created", "best_accuracy"]).run()
    assert list(at.dataframe[0].proto.column_order)[3:5] == ["created", "best_accuracy"]


def test_a_phone_gets_the_columns_that_fit_it(full):
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).run()
    at.switch_page(RUNS)
    at.session_state["narrow_window"] = True  # as the browser reports its window
    at.run()
    assert list(at.dataframe[0].proto.column_order)[:4] == ["state", "name", "accuracy", "tpr_variance"]


HEADS = {"id": 23, "accuracy": 52, "tpr_variance": 47, "tpr_min": 68}  # px of each header, measured in Chromium
ARROW, PADDING = 11, 16  # px: the sort arrow with its gap; the padding of a cell on both sides
TABLE, TICKS = 1018, 33  # px: the table in a window of 1440, its checkboxes


def widths(at):
    """The width of every column of the table."""
    columns = json.loads(at.dataframe[0].proto.columns)
    return {name: column["width"] for name, column in columns.items() if "width" in column}


def test_names_are_uncut_on_a_desktop_and_headers_fit_with_the_sort_arrow(full):
    shown = widths(visit(RUNS))
    assert shown["name"] >= 269 + 2 * PADDING, "MNIST-1D: Equal-TPR bias, strength 0.9, seed 0"
    assert {head: shown[head] >= text + ARROW + PADDING for head, text in HEADS.items()} == dict.fromkeys(HEADS, True)
    in_sight = ("id", "name", "state", "method", "accuracy", "tpr_variance", "tpr_min", "tags")
    assert TICKS + sum(shown[column] for column in in_sight) <= TABLE


def test_a_long_name_takes_the_room_of_the_tags_and_gives_way_to_further_columns(full):
    engine, _ = full
    submit(engine, config_of(), "MNIST-1D: Tau-normalized classifier, tau 0.7, of the layer, seed 0")
    at = visit(RUNS)
    usual, wide = 332, widths(at)["name"]
    assert usual < wide <= usual + widths(at)["tags"]
    at.multiselect(key="columns").set_value(["created"]).run()
    assert widths(at)["name"] == wide - widths(at)["created"]


def test_a_deleted_run_is_reported_in_a_sentence(full, monkeypatch):
    engine, ids = full
    ticked(monkeypatch, {ids["stopped"]})
    at = visit(RUNS)
    results.delete(engine, [ids["stopped"]])
    at.button(key="runs_run").click().run()
    assert at.error[0].value == f"Run {ids['stopped']} not found; it was deleted, or no run has this number."


def test_actions_are_disabled_until_rows_are_selected(full):
    at = visit(RUNS)
    assert all(at.button(key=f"runs_{k}").disabled for k in ("open", "compare", "edit", "archive", "delete"))


def ticked(monkeypatch, ids):
    """Patch the selection of the table, since AppTest cannot tick rows."""
    real = streamlit.dataframe

    def dataframe(frame, *args, **options):
        event = real(frame, *args, **options)
        if "selection_mode" not in options:
            return event
        return SimpleNamespace(
            selection=SimpleNamespace(rows=[i for i, run_id in enumerate(frame["id"]) if run_id in ids], cells=[])
        )

    monkeypatch.setattr(streamlit, "dataframe", dataframe)


def test_selected_runs_are_paused_resumed_and_stopped_where_that_applies(full, monkeypatch):
    engine, ids = full
    ticked(monkeypatch, {ids["baseline"], ids["running"], ids["queued"], ids["stopped"]})
    at = visit(RUNS)
    at.button(key="runs_pause").click().run()
    assert (results.get_run(engine, ids["running"]).wanted, results.get_run(engine, ids["queued"]).status) == (
        "pause",
        "paused",
    )
    at.button(key="runs_run").click().run()
    assert [results.get_run(engine, ids[k]).status for k in ("queued", "stopped", "baseline", "failed")] == [
        "queued",
        "queued",
        "succeeded",
        "failed",
    ]
    at.button(key="runs_cancel").click().run()
    assert [results.get_run(engine, ids[k]).status for k in ("queued", "stopped")] == ["cancelled", "cancelled"]
    assert not at.exception


def test_finished_runs_offer_nothing_to_pause_or_stop(full, monkeypatch):
    _, ids = full
    ticked(monkeypatch, {ids["baseline"]})
    keys = {b.key for b in visit(RUNS).button}
    assert not keys & {"runs_pause", "runs_run", "runs_cancel"}
    assert "runs_delete" in keys


def test_the_delete_dialog_names_runs_that_took_tprs_from_a_run(full, monkeypatch):
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
    assert "lose the baseline" not in words_on(at)


def test_a_search_takes_words_in_any_order(full):
    _, ids = full
    at = visit(RUNS)
    at.text_input(key="q").set_value("tpr mnist").run()
    assert ids["weighted"] in at.dataframe[0].value["id"].tolist()
    assert ids["baseline"] not in at.dataframe[0].value["id"].tolist()


def test_parameters_of_another_page_leave_the_url(full):
    _, ids = full
    at = visit(RUNS, a="1", b="2", q="CIFAR")
    assert set(at.query_params) == {"q"}
    at = visit(RUN, id=str(ids["baseline"]), a="1")
    assert set(at.query_params) == {"id"}


def test_a_run_with_an_unknown_method_is_still_listed(full):
    engine, _ = full
    submit(engine, config_of(), "from another version")
    assert "from another version" in visit(RUNS).dataframe[0].value["name"].tolist()


def test_an_old_sqlite_is_reported_on_the_runs_page(full, monkeypatch):
    assert "SQLite" not in words_on(visit(RUNS))
    monkeypatch.setattr(
        "storage.db.connection.database_warning", lambda: "SQLite 3.40.1 can, rarely, damage a database"
    )
    assert "SQLite 3.40.1 can, rarely, damage a database" in words_on(visit(RUNS)).replace("\\", "")


def test_the_runs_page_reads_the_list_once_per_view(full, monkeypatch):
    from pages.components.common import cached_reads

    at, calls = visit(RUNS), []
    whole = cached_reads.runs
    monkeypatch.setattr(cached_reads, "runs", lambda **filters: calls.append(filters) or whole(**filters))
    at.run()
    assert len(calls) == 1
