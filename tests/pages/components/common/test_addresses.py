"""Runs and Compare: what the address asks for wrongly is named.

A filter that leaves nothing over has a way out, and runs are told apart.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.queue_rows import new_run
from storage import results
from tests.pages.kit import COMPARE, RUNS, visit, words_on
from tests.pages.views.test_runs import ticked
from tests.seed import config_of


def warnings(at):
    return "\n".join(w.value for w in at.warning).replace("\\", "")


@pytest.mark.parametrize(
    ("query", "bad"),
    [
        ({"a": "x", "b": "2"}, ["x"]),
        ({"a": "6,7,8", "b": "9,10,11"}, ["6,7,8", "9,10,11"]),
        ({"a": "1", "b": "-2"}, ["-2"]),
    ],
)
def test_compare_names_what_is_no_number_of_a_run(full, query, bad):
    text = warnings(visit(COMPARE, **query))
    for value in bad:
        assert f"'{value}' in the URL is not the number of a run." in text
    assert "/compare?a=1&b=2" in text


@pytest.mark.parametrize("query", [{}, {"a": "1", "b": "2"}, {"a": "1"}, {"a": "1", "b": ""}])
def test_compare_has_nothing_to_say_of_a_good_address(full, query):
    assert "not the number" not in warnings(visit(COMPARE, **query))


def test_runs_names_a_state_that_there_is_not_until_one_is_chosen(full):
    _, ids = full
    at = visit(RUNS, status="bogus")
    assert "Unknown state 'bogus' in the URL; showing all. Known: All, Queued, Running" in warnings(at)
    assert len(at.dataframe[0].value) == len(ids)
    at.run()
    assert "bogus" in warnings(at)
    at.selectbox(key="status").set_value("failed").run()
    assert "bogus" not in warnings(at)


@pytest.mark.parametrize("word", ["failed", "Failed"])
def test_a_state_is_known_by_its_word_and_by_its_key(full, word):
    _, ids = full
    at = visit(RUNS, status=word)
    assert not warnings(at)
    assert at.dataframe[0].value["id"].tolist() == [ids["failed"]]
    assert at.query_params["status"] == "Failed", "the word of the list, which stays in the address"


def test_filters_that_leave_nothing_over_are_named_and_cleared(full):
    _, ids = full
    at = visit(RUNS)
    at.text_input(key="q").set_value("nothing like it").run()
    at.selectbox(key="status").set_value("paused").run()
    assert (
        'No run matches these filters: search "nothing like it", state Paused. Archived runs are not shown.'
        in words_on(at)
    )
    at.button(key="runs_clear").click().run()
    assert len(at.dataframe[0].value) == len(ids)
    assert (at.text_input(key="q").value, at.selectbox(key="status").value) == ("", "all")


def test_a_list_of_archived_runs_alone_can_be_shown(full):
    engine, ids = full
    results.archive(engine, [i for k, i in ids.items() if k != "running"])
    results.archive(engine, [ids["running"]])
    at = visit(RUNS)
    assert "No runs to show. Archived runs are not shown." in words_on(at)
    at.button(key="runs_show_archived").click().run()
    assert len(at.dataframe[0].value) == len(ids)


# -- several runs at once ------------------------------------------------------------------------------------------


def test_several_runs_are_tagged_together(full, monkeypatch):
    engine, ids = full
    ticked(monkeypatch, {ids["baseline"], ids["weighted"]})
    results.set_tags(engine, ids["weighted"], "old, keep")
    at = visit(RUNS)
    at.button(key="runs_edit").click().run()
    assert "2 runs: 1, 2" in words_on(at)
    assert at.multiselect(key="runs_tags_gone").options == ["first look", "keep", "old"]
    results.retag(
        engine, [ids["baseline"], ids["weighted"], 99], "paper, keep", ["old"]
    )  # AppTest draws no dialog a second time
    assert [results.get_run(engine, ids[k]).tags for k in ("baseline", "weighted", "dynamic")] == [
        "first look, paper, keep",
        "keep, paper",
        "",
    ]


def test_one_run_is_edited_by_name_tags_and_notes(full, monkeypatch):
    _, ids = full
    ticked(monkeypatch, {ids["baseline"]})
    at = visit(RUNS)
    at.button(key="runs_edit").click().run()
    assert at.text_input(key=f"runs_name_{ids['baseline']}").value == "MNIST-1D: none, seed 0"


# -- which run is which --------------------------------------------------------------------------------------------


def test_data_epochs_and_tags_are_in_sight(full):
    _, ids = full
    at = visit(RUNS)
    first = list(at.dataframe[0].proto.column_order)
    assert {"dataset", "epochs", "tags"} <= set(first[:11])
    row = at.dataframe[0].value.set_index("id").loc[ids["hundred"]]
    assert (row["dataset"], row["epochs"]) == ("CIFAR-100", 8)


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({}, "MNIST-1D: TPR ratio, exponent 2, seed 0"),
        ({"epochs": 60}, "MNIST-1D: TPR ratio, exponent 2, 60 epochs, seed 0"),
        ({"recipe": "sgd_cosine", "epochs": 30}, "MNIST-1D: TPR ratio, exponent 2, seed 0"),
        (
            {"tpr": (0.5,) * 10, "tpr_source": "a.csv", "epochs": 1},
            "MNIST-1D: TPR ratio, exponent 2, given TPRs, 1 epoch, seed 0",
        ),
    ],
)
def test_a_name_tells_what_is_not_usual(more, name):
    config = replace(
        config_of(epochs=20), method="tpr_ratio", params={"exponent": 2.0}, **({"recipe_params": {}} | more)
    )
    assert new_run(config).name == name
