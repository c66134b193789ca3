"""New run: which baseline each seed uses, and long tails."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from core.experiment.baseline import BaselineDiffers, DrawnRun, differences
from pages.components.new_run import evidence
from services import tpr_sources
from services.baselines import by_seed
from storage import results
from tests.pages.components.new_run.kit import baselines, captions, started, visit
from tests.pages.kit import ROOT
from tests.seed import config_of, submit

# -- seeds -----------------------------------------------------------------------------------------------------


def test_the_preset_baseline_has_the_seed_of_the_run(empty):
    ids = baselines(empty, 0, 1, 2)
    at = visit()
    assert at.selectbox(key="new_baseline").value == str(ids[0])
    at.number_input(key="new_run_seed").set_value(2).run()
    assert at.selectbox(key="new_baseline").value == str(ids[2])


def test_each_replicate_takes_the_baseline_of_its_own_seed_and_the_missing_one_is_trained_first(empty):
    ids = baselines(empty, 0, 1)
    at = visit()
    at.number_input(key="new_replicates").set_value(3).run()
    assert (
        f"Baselines: run {ids[0]} for seed 0 and run {ids[1]} for seed 1; for seed 2 a baseline is trained first."
        in captions(at)
    )
    assert at.button(key="new_start").label == "Start 4 runs"
    first, *weighted = started(at, empty)
    assert (first.method, first.seed, first.group_sha) == ("none", 2, results.get_run(empty, ids[0]).group_sha)
    assert [(r.seed, r.baseline_id) for r in weighted] == [(0, ids[0]), (1, ids[1]), (2, first.id)]
    assert len({r.group_sha for r in weighted}) == 1


def test_a_replicate_that_is_still_on_its_way_is_not_trained_twice(empty):
    (base,) = baselines(empty, 0)
    coming = submit(empty, config_of(epochs=20, seed=1), "on its way")
    at = visit()
    at.number_input(key="new_replicates").set_value(2).run()
    assert [(r.seed, r.baseline_id) for r in started(at, empty)] == [(0, base), (1, coming)]


def test_a_baseline_of_another_seed_is_taken_only_where_a_person_says_so_and_told(empty):
    ids = baselines(empty, 2)
    at = visit()
    assert "For seed 0 a baseline is trained first" in captions(at)
    at.checkbox(key="new_one_baseline").check().run()
    assert f"Run {ids[0]} has seed 2, so the weights of seed 0 come from another network" in captions(at)
    assert "--same-baseline" in at.code[0].value
    (row,) = started(at, empty)
    assert row.baseline_id == ids[0]


def test_the_preview_shows_the_baseline_of_the_first_seed(empty):
    ids = baselines(empty, 0, 1)
    at = visit()
    at.selectbox(key="new_baseline").set_value(str(ids[1])).run()
    assert at.subheader[0].value.endswith(f"from run {ids[0]}")


def test_the_commands_train_the_missing_baselines_too(empty):
    (base,) = baselines(empty, 0)
    at = visit()
    at.number_input(key="new_replicates").set_value(2).run()
    first, then = at.code[0].value.split("\n# then:\n")
    assert "--method none" in first
    assert first.endswith("--seed 1")
    assert then.endswith(f"--baseline {base} --seeds 2")


def test_seed_and_run_of_a_group():
    import pandas as pd

    frame = pd.DataFrame(
        {
            "id": [1, 2, 3, 4, 5, 6],
            "seed": [0, 0, 1, 1, 2, 3],
            "group_sha": list("aaaaab"),
            "status": ["succeeded", "queued", "succeeded", "succeeded", "failed", "succeeded"],
        }
    )
    assert by_seed(frame, "a") == {0: 1, 1: 4}


def test_what_another_page_asks_for_is_taken_though_it_is_no_newest_baseline(empty):
    old = baselines(empty, 0)
    visit()
    baselines(empty, 0, recipe="sgd_cosine")
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).run()
    at.switch_page("pages/views/run.py")
    at.query_params["id"] = str(old[0])
    at.run()
    at.button(key="run_use").click().run()
    assert at.selectbox(key="new_baseline").value == str(old[0])


# -- a long tail -----------------------------------------------------------------------------------------------


def test_a_long_tail_shows_in_counts_names_and_the_choice_of_baselines(empty):
    balanced = baselines(empty, 0)
    at = visit()
    at.number_input(key="new_run_imbalance").set_value(100.0).run()
    assert "1,003 training samples (tail 100: 398 to 4 per class)" in captions(at)
    assert at.selectbox(key="new_baseline").value == tpr_sources.TRAIN_FIRST, (
        "a balanced baseline is no baseline of this run"
    )
    assert [r.name for r in started(at, empty)] == [
        "MNIST-1D, tail 100: None, seed 0",
        "MNIST-1D, tail 100: TPR ratio, exponent 2, seed 0",
    ]
    at = visit()
    at.number_input(key="new_run_imbalance").set_value(100.0).run()
    at.selectbox(key="new_baseline").set_value(evidence.OTHERS).run()
    assert at.selectbox(key="new_baseline_other").options == [
        f"Run {balanced[0]}: MNIST-1D: none, seed 0 (no long tail)"
    ]
    assert "its TPRs are not those of a baseline" in captions(at)
    assert started(at, empty)[0].baseline_id == balanced[0]


def test_back_without_the_tail_the_baseline_is_back(empty):
    balanced, tailed = baselines(empty, 0), baselines(empty, 0, imbalance=100.0)
    at = visit()
    assert at.selectbox(key="new_baseline").value == str(balanced[0])
    at.number_input(key="new_run_imbalance").set_value(100.0).run()
    assert at.selectbox(key="new_baseline").value == str(tailed[0])
    at.number_input(key="new_run_imbalance").set_value(1.0).run()
    assert at.selectbox(key="new_baseline").value == str(balanced[0])


@pytest.mark.parametrize(
    ("theirs", "own", "found"),
    [
        ({}, False, BaselineDiffers()),
        ({"imbalance": 100.0}, False, BaselineDiffers(tail=(100.0, "exponential"))),
        ({"imbalance": 10.0, "profile": "step"}, True, BaselineDiffers(tail=(10.0, "step"))),
        ({"validation": 0.2}, False, BaselineDiffers(validation=0.2)),
        ({"validation": 0.2}, True, BaselineDiffers()),
        ({"profile": "step"}, False, BaselineDiffers()),
    ],
)
def test_what_is_other_data(theirs, own, found):
    spec = SimpleNamespace(fingerprint="ab", own_validation=own)
    row = replace(DrawnRun("cnn1d", "ab", imbalance=1.0, profile="exponential", validation=0.1), **theirs)
    assert differences(config_of(), spec, row) == found


def test_a_baseline_of_another_network_is_one_of_the_others(empty):
    baselines(empty, 0, model="mlp")
    at = visit()
    assert at.selectbox(key="model").value == "cnn1d"
    assert at.selectbox(key="new_baseline").value == tpr_sources.TRAIN_FIRST
    at.selectbox(key="model").set_value("mlp").run()
    assert at.selectbox(key="new_baseline").value == "1"
