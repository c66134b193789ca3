"""New run, initial state: URL parameters, the epochs of a second stage, long names, and methods whose needs are not met."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from commands.submit import parsed
from core.experiment.recipes import RECIPES
from core.methods import METHODS, POSTHOC, TRAIN
from pages.components.common.prefill import Prefill
from pages.components.new_run import evidence
from tests.pages.components.new_run.kit import baselines, captions, started, visit
from tests.pages.kit import NEW, ROOT
from tests.seed import config_of, mnist1d, submit, train, worker_of

STAGED = [m.key for m in METHODS if m.epochs is not None]


@pytest.mark.parametrize("method", {m.stage: m.key for m in METHODS}.values())
def test_the_address_takes_and_keeps_the_key(empty, method):
    """One method of each stage: the page reads the rows."""
    at = visit(dataset="digits", model="mlp", method=method)
    assert at.selectbox(key="method").value == method
    assert at.query_params["method"] == method
    again = visit(**{name: at.query_params[name] for name in ("dataset", "model", "method")})
    assert [again.selectbox(key=k).value for k in ("dataset", "model", "method")] == [
        at.selectbox(key=k).value for k in ("dataset", "model", "method")
    ]


def test_the_address_follows_a_choice_and_an_older_link_by_label_still_works(empty):
    at = visit(method="From counts: Balanced", dataset="Digits (scikit-learn)")
    assert (at.selectbox(key="method").value, at.selectbox(key="dataset").value) == ("balanced", "digits")
    at.selectbox(key="method").set_value("focal").run()
    assert (at.query_params["method"], at.query_params["dataset"]) == ("focal", "digits")
    assert at.selectbox(key="method").value == "focal"


def test_a_page_that_is_only_opened_leaves_the_address_alone(empty):
    """Every change would add an entry to the browser's history."""
    assert not visit().query_params
    at = visit(method="focal")
    assert (set(at.query_params), at.query_params["method"]) == ({"method"}, "focal")
    at.selectbox(key="dataset").set_value("digits").run()
    assert (at.query_params["dataset"], at.query_params["method"]) == ("digits", "focal")


def test_an_address_that_names_nothing_known_is_put_right(empty):
    at = visit(method="nonsense", dataset="nowhere", model="none")
    assert (at.query_params["method"], at.query_params["dataset"], at.query_params["model"]) == (
        "tpr_ratio",
        "mnist1d",
        "cnn1d",
    )


@pytest.mark.parametrize("method", [m.key for m in METHODS if m.stage == POSTHOC])
def test_a_method_without_what_it_needs_says_so_in_the_list_and_cannot_start(empty, method):
    reason = "(needs a finished run)"
    labels = dict(
        zip(
            [m.label for m in METHODS if m.stage == POSTHOC],
            [o for o in visit().selectbox(key="method").options if o.endswith(reason)],
            strict=True,
        )
    )
    assert METHODS[method].label in labels
    at = visit(method=method)
    assert at.query_params["method"] == method
    assert f"{METHODS[method].group}: {METHODS[method].label}" in at.selectbox(key="method").options, (
        "the chosen one keeps its name whole"
    )
    assert at.button(key="new_start").disabled
    assert "Needs a finished run" in captions(at)


def test_every_other_method_can_start_without_a_run(empty):
    """Methods that need TPRs or a network get their run trained first."""
    for method in METHODS:
        if method.stage != POSTHOC:
            assert not visit(method=method.key).button(key="new_start").disabled, method.key


@pytest.mark.parametrize("method", STAGED)
def test_a_second_stage_has_epochs_of_its_own_and_its_baseline_the_recipe_s(empty, method):
    assert METHODS[method].stage != TRAIN
    at = visit(method=method)
    assert at.number_input(key="new_run_epochs").value == METHODS[method].epochs == 10
    first, then = started(at, empty)
    assert (first.epochs, then.epochs) == (RECIPES["adam_cycle"].epochs, 10)


def test_the_epochs_go_back_with_the_method_unless_they_were_typed(empty):
    at = visit(method=STAGED[0])
    at.selectbox(key="method").set_value("none").run()
    assert at.number_input(key="new_run_epochs").value == 20
    at.number_input(key="new_run_epochs").set_value(7).run()
    at.selectbox(key="method").set_value(STAGED[0]).run()
    assert at.number_input(key="new_run_epochs").value == 7, "typed by a person"
    at.selectbox(key="new_recipe").set_value("sgd_cosine").run()
    assert at.number_input(key="new_run_epochs").value == 10
    at.selectbox(key="method").set_value("none").run()
    assert at.number_input(key="new_run_epochs").value == RECIPES["sgd_cosine"].epochs


def test_a_duplicated_second_stage_keeps_its_epochs(empty):
    at = visit()
    at.session_state["new_prefill"] = Prefill(config_of(epochs=20, method=STAGED[0]), method=STAGED[0])
    at.run()
    assert (at.selectbox(key="method").value, at.number_input(key="new_run_epochs").value) == (STAGED[0], 20)


def test_a_duplicated_post_hoc_step_leaves_its_single_epoch_behind(empty):
    at = visit()
    at.session_state["new_prefill"] = Prefill(config_of(epochs=1, method="tau_norm"), method="tau_norm")
    at.run()
    assert at.selectbox(key="method").value == "tau_norm"
    assert at.selectbox(key="method").set_value("none").run().number_input(key="new_run_epochs").value == 20


def test_a_long_name_is_cut_in_the_middle_and_whole_in_the_tooltip(empty):
    name = "MNIST-1D, a baseline with a name as long as people give them when they want to find it, seed 0"
    submit(empty, config_of(epochs=20), name)
    train(empty, worker_of(empty), mnist1d(), 20, matrices=False)
    box = visit().selectbox(key="new_baseline")
    assert max(map(len, box.options)) <= evidence.LONGEST
    assert box.options[0].startswith("Run 1: MNIST-1D")
    assert box.options[0].endswith("seed 0")
    assert name.replace("-", "\\-") in box.help or name in box.help


def test_short_names_stand_as_they_are(empty):
    baselines(empty, 0)
    box = visit().selectbox(key="new_baseline")
    assert box.options[0] == "Run 1: MNIST-1D: none, seed 0"
    assert box.help == evidence.HELP_NEEDED


@pytest.mark.parametrize("method", METHODS.keys)
def test_the_command_line_takes_the_same_number_of_epochs(method):
    wanted = 1 if METHODS[method].stage == POSTHOC else 10 if method in STAGED else RECIPES["sgd_cosine"].epochs
    assert parsed({"epochs": None}, method, "sgd_cosine") == {"epochs": wanted}


def test_the_copied_command_trains_as_many_epochs_as_the_form(empty):
    at = visit(method=STAGED[0])
    first, then = at.code[0].value.split("\n# then:\n")
    assert "--epochs" not in first + then, "both are what the command line takes by itself"
    at.number_input(key="new_run_epochs").set_value(20).run()
    assert "--epochs 20" in at.code[0].value.split("\n# then:\n")[1]


def opened():
    """New run, opened through app.py."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).run()
    return at.switch_page(NEW).run()


def test_an_address_that_lost_a_choice_takes_it_back(empty):
    """Browser Back to the page as it was opened."""
    at = opened()
    first = at.selectbox(key="method").value
    at.selectbox(key="method").set_value("focal").run()
    at.query_params.clear()
    assert at.run().selectbox(key="method").value == first


def test_a_choice_over_a_slow_line_comes_with_an_older_address_and_stays(empty):
    at = opened()
    at.selectbox(key="method").set_value("focal").run()
    at.selectbox(key="dataset").set_value("digits")
    at.query_params.clear()  # sent before the browser received the first selection
    at.run()
    assert (at.selectbox(key="method").value, at.selectbox(key="dataset").value) == ("focal", "digits")
    assert (at.query_params["method"], at.query_params["dataset"]) == ("focal", "digits")
