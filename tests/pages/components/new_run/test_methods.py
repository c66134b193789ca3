"""New run, methods of every kind: what they need, what they reject, what the preview shows."""

from __future__ import annotations

import numpy as np
import pytest

from core.datasets import prepare
from pages.components.common.prefill import Prefill
from pages.components.new_run import evidence, terms
from reporting.text import TRAINED
from services import tpr_sources
from tests.pages.components.new_run.kit import baselines, captions, images, started, visit
from tests.seed import config_of


def test_a_half_typed_formula_is_told_and_nothing_is_lost(empty):
    (base,) = baselines(empty, 0)
    at = visit()
    at.selectbox(key="method").set_value("custom").run()
    assert at.selectbox(key="new_baseline").value == str(base)
    box = at.text_area(key="new_custom_formula")
    for text in ("1 / (n +", "", "import os"):
        box.set_value(text).run()
        assert not at.exception
        assert at.error
        assert at.button(key="new_start").disabled
        assert at.text_area(key="new_custom_formula").value == text
        assert at.selectbox(key="new_baseline").value == str(base)
    box.set_value("1 / tpr").run()
    assert not at.error
    (row,) = started(at, empty)
    assert (row.config.params["formula"], row.baseline_id) == ("1 / tpr", base)


def test_a_formula_over_counts_asks_for_no_tprs_even_while_it_is_half_typed(empty):
    at = visit()
    at.selectbox(key="method").set_value("custom").run()
    assert at.selectbox(key="new_baseline").value == tpr_sources.TRAIN_FIRST
    at.text_area(key="new_custom_formula").set_value("N / n").run()
    assert at.selectbox(key="new_baseline").value == tpr_sources.NOTHING
    at.text_area(key="new_custom_formula").set_value("N / (n").run()
    assert at.selectbox(key="new_baseline").value == tpr_sources.NOTHING
    at.text_area(key="new_custom_formula").set_value("N / (n + 1)").run()
    (row,) = started(at, empty)
    assert (row.method, row.baseline_id) == ("custom", None)


def test_manual_weights_start_as_one_per_class_and_keep_what_is_typed(empty, tmp_path):
    images(tmp_path / "three", {"ant": 30, "bee": 30, "cow": 30})
    prepare("three", tmp_path)
    at = visit()
    at.selectbox(key="method").set_value("manual").run()
    assert at.text_area(key="new_manual_weights").value == ", ".join(["1"] * 10)
    at.selectbox(key="dataset").set_value("three").run()
    assert at.text_area(key="new_manual_weights").value == "1, 1, 1"
    at.text_area(key="new_manual_weights").set_value("1, 2").run()
    assert "2 weights given, expected 3" in at.error[0].value
    assert at.button(key="new_start").disabled
    at.text_area(key="new_manual_weights").set_value("1, 2, 4").run()
    assert not at.error
    assert at.text_area(key="new_manual_weights").value == "1, 2, 4"


def test_a_post_hoc_step_takes_the_finished_run_as_it_is(empty):
    (base,) = baselines(empty, 0, recipe="sgd_cosine")
    at = visit()
    at.selectbox(key="method").set_value("equal_tpr_bias").run()
    assert at.selectbox(key="new_baseline").options == [f"Run {base}: MNIST-1D: none, seed 0"]
    drawn = {w.key for kind in ("selectbox", "number_input") for w in getattr(at, kind)}
    assert not drawn & {"new_recipe", "new_run_epochs", "new_sampler", "new_run_start", "new_adam_cycle_batch_size"}
    (row,) = started(at, empty)
    assert (row.baseline_id, row.epochs, row.config.recipe) == (base, 1, "sgd_cosine")


@pytest.mark.parametrize("other", [{"new_run_seed": 3}, {"new_run_imbalance": 50.0}])
def test_a_post_hoc_step_without_a_fitting_run_says_what_is_missing(empty, other):
    baselines(empty, 0)
    at = visit()
    at.selectbox(key="method").set_value("ncm").run()
    assert not at.button(key="new_start").disabled
    for key, value in other.items():
        at.number_input(key=key).set_value(value).run()
    assert "continues from a finished run" in captions(at)
    assert at.button(key="new_start").disabled


def test_the_list_of_methods_says_where_no_run_is_there(empty):
    labels = visit().selectbox(key="method").options
    assert any(label.startswith("Post-hoc: ") and "needs a finished run" in label for label in labels)
    baselines(empty, 0)
    assert not any("needs a finished run" in label for label in visit().selectbox(key="method").options)


def test_a_second_stage_may_have_its_run_trained_first(empty):
    at = visit()
    at.selectbox(key="method").set_value("crt").run()
    assert at.selectbox(key="new_baseline").options == [evidence.TEXTS[tpr_sources.TRAIN_FIRST]]
    at.selectbox(key="new_sampler").set_value("smote").run()
    first, then = started(at, empty)
    assert (first.method, first.config.sampler) == ("none", "instance")
    assert (then.method, then.config.sampler, then.baseline_id) == ("crt", "smote", first.id)


def test_a_second_stage_never_takes_the_run_of_another_seed(empty):
    (base,) = baselines(empty, 0)
    at = visit()
    at.selectbox(key="method").set_value("lws").run()
    at.number_input(key="new_replicates").set_value(2).run()
    assert "new_one_baseline" not in {c.key for c in at.checkbox}
    first, *stages = started(at, empty)
    assert [(r.seed, r.baseline_id) for r in stages] == [(0, base), (1, first.id)]


def test_sampler_and_late_start_reach_run_command_and_snippet(empty):
    at = visit()
    at.selectbox(key="method").set_value("none").run()
    at.selectbox(key="new_sampler").set_value("power").run()
    at.number_input(key="new_sampler_power_q").set_value(0.25).run()
    at.number_input(key="new_run_start").set_value(0.8).run()
    command, snippet = at.code[0].value, at.code[1].value
    assert "--sampler power" in command
    assert "--sampler-param q=0.25" in command
    assert "--start 0.8" in command
    assert "sampling = torch.tensor" in snippet
    assert "act from epoch 17 of 20" in captions(at)
    (row,) = started(at, empty)
    assert (row.config.sampler, row.config.sampler_params, row.config.start) == ("power", {"q": 0.25}, 0.8)


def test_method_and_sampler_that_make_up_for_the_same_are_warned_of(empty):
    at = visit()
    at.selectbox(key="method").set_value("balanced").run()
    at.number_input(key="new_run_imbalance").set_value(100.0).run()
    assert not any("applied twice" in w.value for w in at.warning)
    at.selectbox(key="new_sampler").set_value("balanced").run()
    assert any("applied twice" in w.value for w in at.warning)
    at.number_input(key="new_run_imbalance").set_value(1.0).run()
    assert not any("applied twice" in w.value for w in at.warning), "of equal counts nothing is corrected"


@pytest.mark.parametrize(
    ("method", "sampler", "pictures"),
    [
        ("tpr_ratio", "instance", []),
        ("balanced_softmax", "instance", ["shift"]),
        ("vs", "instance", ["shift", "scale"]),
        ("ldam", "instance", ["margin"]),
        ("label_aware_smoothing", "instance", ["smoothing"]),
        ("seql", "instance", ["mask"]),
        ("none", "square_root", ["sampling"]),
    ],
)
def test_the_preview_pictures_what_a_method_changes(empty, method, sampler, pictures):
    baselines(empty, 0, imbalance=1000.0)
    at = visit()
    at.number_input(key="new_run_imbalance").set_value(1000.0).run()
    at.selectbox(key="method").set_value(method).run()
    at.selectbox(key="new_sampler").set_value(sampler).run()
    assert [e.proto.alt.split(" per class")[0] for e in at.get("plotly_chart")] == [
        terms.TERMS[name].label for name in pictures
    ]


def test_what_no_picture_can_show_is_said_of_every_method():
    from core.methods import METHODS, answer, what_if
    from core.methods.samplers import SAMPLERS

    known = what_if(2, tpr=np.array([0.9, 0.5]), counts=np.array([30.0, 10.0]))
    plain = SAMPLERS["instance"]
    for method in METHODS:
        assert answer(method.key, known).set() or method.key == "none" or terms.decided_in_training(method, plain), (
            method.key
        )
    assert terms.decided_in_training(METHODS["l2rw"], plain) == [METHODS["l2rw"].decided]
    assert terms.decided_in_training(METHODS["crt"], SAMPLERS["smote"]) == [
        TRAINED["classifier"],
        SAMPLERS["smote"].decided,
    ]


def test_a_sampler_that_moves_is_drawn_at_both_ends():
    from dataclasses import replace

    from core.methods import what_if
    from core.methods.samplers import SAMPLERS
    from reporting.palette import LIGHT

    known = replace(what_if(2, counts=np.array([30.0, 10.0])), epochs=5)
    first, last = (SAMPLERS["progressive"].terms(replace(known, epoch=e)) for e in (0, 4))
    values = terms.first_and_last_epoch("sampling", first, last)
    assert {k: v.tolist() for k, v in values.items()} == {"first epoch": [0.75, 0.25], "last epoch": [0.5, 0.5]}
    figure = terms.term_figure("sampling", values, np.array([1, 0]), ("<b>a", "b"), LIGHT, hard=False)
    assert figure["data"][0]["y"] == [0.25, 0.75]
    assert figure["layout"]["xaxis"]["ticktext"] == ["b", "&lt;b&gt;a"]
    many = terms.class_axis(["c"] * 1200, np.arange(1200), LIGHT, hard=True)
    assert many["title"]["text"] == "1,200 classes, hardest first"


def test_further_methods_are_drawn_beside_the_chosen_one(empty):
    baselines(empty, 0)
    at = visit()
    at.multiselect(key="new_overlay").set_value(["balanced", "tpr_inverse", "balanced_softmax"]).run()
    assert not at.exception
    assert [e.proto.alt for e in at.get("plotly_chart")] == [
        "Weight per class of TPR ratio, Balanced, Inverse TPR",
        "Logit shift of Balanced softmax",
    ]
    at.selectbox(key="method").set_value("balanced").run()
    assert at.multiselect(key="new_overlay").value == ["tpr_inverse", "balanced_softmax"]
    assert len(started(at, empty)) == 1


def test_a_term_that_is_the_same_for_every_class_is_a_sentence_and_a_sampler_says_what_it_costs(empty):
    at = visit()
    at.selectbox(key="method").set_value("none").run()
    at.number_input(key="new_run_imbalance").set_value(100.0).run()
    at.selectbox(key="new_sampler").set_value("undersample").run()
    assert not at.get("plotly_chart")
    assert "10.0% for every class." in [m.value for m in at.markdown]
    assert "An epoch draws" in captions(at)


def test_a_duplicated_run_brings_its_sampler_and_late_start_or_takes_them_back(empty):
    plain = config_of(epochs=20, method="tpr_ratio")
    sampled = config_of(epochs=20, method="tpr_ratio", sampler="power", sampler_params={"q": 0.25}, start=0.8)
    at = visit()
    for config, sampler, start in ((sampled, "power", 0.8), (plain, "instance", 0.0)):
        at.session_state["new_prefill"] = Prefill(config, method=config.method)
        at.run()
        assert (at.selectbox(key="new_sampler").value, at.number_input(key="new_run_start").value) == (sampler, start)
        assert ("--sampler-param q=0.25" in at.code[0].value) == (sampler == "power")
