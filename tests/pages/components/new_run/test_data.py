"""New run, data: too small, partly unreadable or missing data, and settings kept across pages."""

from __future__ import annotations

import pytest

from core.datasets import DATASETS, describe, prepare
from core.datasets.spec import check_validation
from core.diagnostics.sample_size import FewSamples, few_validation, half_width
from core.metrics.intervals import wilson
from pages.components.common.prefill import Prefill
from tests.pages.components.new_run.kit import baselines, captions, images, visit
from tests.pages.kit import NEW, RUNS

# -- what is kept ----------------------------------------------------------------------------------------------


def test_settings_outlive_a_visit_to_another_page(empty):
    baselines(empty, 0, 5)
    at = visit()
    at.selectbox(key="method").set_value("tpr_deficit").run()
    at.number_input(key="new_run_seed").set_value(5)
    at.number_input(key="new_replicates").set_value(2)
    at.number_input(key="new_run_imbalance").set_value(3.0)
    at.session_state["new_preview_tpr_deficit"] = {"released": {"value": 1.5, "count": 1}}
    at.run()
    at.switch_page(RUNS).run()
    at.switch_page(NEW).run()
    assert at.selectbox(key="method").value == "tpr_deficit"
    assert [at.number_input(key=k).value for k in ("new_run_seed", "new_replicates", "new_run_imbalance")] == [
        5,
        2,
        3.0,
    ]
    assert "--param tau=1.5" in at.code[0].value


def test_the_batch_size_comes_back_after_a_small_dataset(empty, tmp_path):
    images(tmp_path / "tiny", {"ant": 6, "bee": 6})
    tiny = prepare("tiny", tmp_path)
    samples = int(tiny.train_counts.sum())
    at = visit()
    for dataset, batch in ((tiny.key, samples), ("mnist1d", 100)):
        at.selectbox(key="dataset").set_value(dataset).run()
        assert at.number_input(key="new_adam_cycle_batch_size").value == batch
    at.number_input(key="new_adam_cycle_batch_size").set_value(7).run()
    at.selectbox(key="dataset").set_value("digits").run()
    assert at.number_input(key="new_adam_cycle_batch_size").value == 7, "typed by a person"


# -- the data --------------------------------------------------------------------------------------------------


def test_without_a_validation_sample_nothing_can_start(empty, tmp_path):
    images(tmp_path / "single", {"ant": 1, "bee": 1})
    prepare("single", tmp_path)
    at = visit()
    at.selectbox(key="dataset").set_value("single").run()
    assert at.button(key="new_start").disabled
    assert "2 training samples but no validation samples" in captions(at)
    assert "give every class at least 3 images" in captions(at)


def test_three_images_a_class_are_enough_to_start(empty, tmp_path):
    images(tmp_path / "three", {"ant": 3, "bee": 3})
    check_validation(prepare("three", tmp_path), 2)


def test_few_validation_samples_are_said_with_what_they_are_worth(empty, tmp_path):
    images(tmp_path / "uneven", {"ant": 60, "bee": 300})
    prepare("uneven", tmp_path)
    spec = describe("uneven", tmp_path)
    low, high = wilson(2.5, 5)
    assert spec.val_counts.tolist() == [5, 24]
    assert half_width(5) == pytest.approx((high - low) / 2)
    few = few_validation(spec)
    assert few == FewSamples(1, "ant", 5, half_width(5), remedy="share")
    assert few_validation(describe("uneven", tmp_path, 0.3)) is None
    at = visit()
    at.selectbox(key="dataset").set_value("uneven").run()
    assert "±33 points" in captions(at)
    at.number_input(key="new_run_validation").set_value(0.3).run()
    assert "±33 points" not in captions(at)
    assert "72 validation" not in captions(at)
    assert f"{int(describe('uneven', tmp_path, 0.3).val_counts.sum())} validation" in captions(at), (
        "the counts follow the share"
    )


def test_a_validation_share_without_a_say_is_off_with_the_reason(empty):
    at = visit()
    share = next(n for n in at.number_input if n.label == "Validation share")
    assert share.disabled
    assert "has its own validation split" in captions(at)
    at.selectbox(key="dataset").set_value("digits").run()
    assert not at.number_input(key="new_run_validation").disabled


def test_images_that_were_left_out_and_an_upload_that_was_added_are_said(empty, tmp_path):
    images(tmp_path / "spoilt", {"ant": 80, "bee": 80}, spoilt=("ant",))
    prepare("spoilt", tmp_path)
    at = visit()
    at.session_state["new_prefill"] = Prefill(dataset="spoilt")  # as a press of "Add to the datasets" leaves them
    at.session_state["new_added"] = "spoilt"
    at.run()
    assert "1 image could not be read and was left out: 'ant/broken.png'" in captions(at).replace("\\", "")
    assert "spoilt" in at.success[0].value
    at.selectbox(key="dataset").set_value("mnist1d").run()
    assert not at.success
    assert "left out" not in captions(at)


@pytest.mark.parametrize("dataset", [d.key for d in DATASETS])
def test_data_that_must_be_fetched_is_said_in_plain_sight(empty, dataset):
    at = visit()
    at.selectbox(key="dataset").set_value(dataset).run()
    assert ("Not prepared on this machine yet" in captions(at)) == (not DATASETS[dataset].embedded)
    assert "170 MB" in captions(at) or dataset != "cifar10"
