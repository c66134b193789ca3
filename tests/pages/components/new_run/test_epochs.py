"""New run, terms that change over the epochs: the preview with and without an earlier run, and a late start."""

from __future__ import annotations

import numpy as np
import pytest

from core.experiment.config import checked
from core.experiment.replay import TprHistory, replay
from core.methods.types import Evidence
from core.metrics.classification import share
from pages.components.preview import component, epoch_component
from storage import results
from tests.pages.components.new_run.kit import baselines, captions, started, visit
from tests.seed import DIGITS, config_of, many, mnist1d, submit, train, worker_of


@pytest.fixture
def mounted(monkeypatch):
    """Key -> data that the last script run passed to the preview component."""
    seen = {}
    monkeypatch.setattr(component, "mount", lambda data, key: seen.__setitem__(key, data))
    return seen


def chosen(method, **boxes):
    """New run with this method and these select boxes set."""
    at = visit(method=method)
    for key, value in boxes.items():
        at.selectbox(key=key).set_value(value).run()
    assert not at.exception, at.exception
    return at


def shown(data, frame):
    """Class name -> value of a frame."""
    return dict(zip(data["names"], data["grid"][frame], strict=True))


def past_of(engine, run):
    history = results.class_history(engine, run, "validation")
    return TprHistory(share(history.tp, history.support), history.support.astype(float))


def test_a_dynamic_method_is_drawn_along_the_epochs_of_its_baseline(empty, mounted):
    (base,) = baselines(empty, 0)
    at = chosen("cdb")
    data = mounted["new_preview_cdb"]
    assert at.selectbox(key="new_along").value == str(base)
    assert data["along"]["epochs"] == list(range(1, 21))
    replayed = replay(
        checked(config_of(epochs=20, method="cdb")), Evidence(10, counts=np.full(10, 400.0)), past_of(empty, base)
    )
    for epoch, weight in enumerate(replayed.values("weight")):
        assert shown(data, epoch) == pytest.approx(dict(zip(DIGITS, weight, strict=True)), rel=1e-3)
    assert data["along"]["tpr"][0] == [None] * 10, "before the first epoch there is none"
    tprs = dict(zip(data["names"], data["along"]["tpr"][5], strict=True))
    assert tprs == pytest.approx(dict(zip(DIGITS, past_of(empty, base).tpr[4], strict=True)), abs=1e-4)
    assert data["said"][data["notes"][0][0]].startswith("Before the first epoch")


def test_any_run_of_the_dataset_can_be_followed(empty, mounted):
    (base,) = baselines(empty, 0)
    other = submit(empty, config_of(epochs=20, method="cdb"), "another")
    train(empty, worker_of(empty), mnist1d(0.5, 7), 6, until=6, end="cancelled", seed=9)
    at = chosen("cdb", new_along=str(other))
    assert mounted["new_preview_cdb"]["along"]["epochs"] == list(range(1, 8))
    assert "Shown up to epoch 7 of 20: the selected run has recorded 6 epochs." in captions(at)
    assert at.selectbox(key="new_baseline").value == str(base), "the comparison stays with the baseline"
    assert started(at, empty)[0].baseline_id == base


def test_the_baseline_chosen_is_the_one_followed_until_another_is_asked_for(empty, mounted):
    ids = baselines(empty, 0, 1)
    at = chosen("cdb")
    at.selectbox(key="new_baseline").set_value(str(ids[1])).run()
    at.number_input(key="new_run_seed").set_value(1).run()
    assert at.selectbox(key="new_along").value == str(ids[1])


def test_without_an_earlier_run_it_says_what_is_missing_and_what_to_do(empty, mounted):
    at = chosen("cdb")
    assert "no run on this dataset has recorded any yet" in at.info[0].value
    assert "Train a run first" in at.info[0].value
    assert "along" not in mounted["new_preview_cdb"]
    assert not at.button(key="new_start").disabled, "it can be trained all the same"


def test_every_stop_of_the_slider_is_sent_with_all_epochs_where_they_fit(empty, mounted):
    (base,) = baselines(empty, 0)
    at = chosen("cdb", new_cdb_tau_mode="fixed")
    data = mounted["new_preview_cdb"]
    assert data["along"]["carried"]
    assert len(data["grid"]) == len(data["values"]) * 20
    config = checked(config_of(epochs=20, method="cdb", params={"tau": 2.0}))
    replayed = replay(config, Evidence(10, counts=np.full(10, 400.0)), past_of(empty, base))
    assert shown(data, data["values"].index(2.0) * 20 + 12) == pytest.approx(
        dict(zip(DIGITS, replayed.values("weight")[12], strict=True)), rel=1e-3
    )
    at.session_state["new_preview_cdb"] = {"released": {"value": 3.0, "count": 1}}
    at.run()
    assert started(at, empty)[0].config.params["tau"] == 3.0


def test_a_hundred_classes_over_ninety_epochs_are_sent_for_the_present_stop_alone(empty, mounted):
    submit(empty, config_of(dataset="cifar100", model="resnet20", epochs=90), "hundred")
    train(empty, worker_of(empty), many(100), 90, matrices=False)
    at = visit(dataset="cifar100", model="resnet20", method="cdb")
    at.selectbox(key="new_cdb_tau_mode").set_value("fixed").run()
    at.number_input(key="new_run_epochs").set_value(90).run()
    data = mounted["new_preview_cdb"]
    assert not data["along"]["carried"]
    assert (len(data["values"]), len(data["grid"])) == (161, 90)
    assert data["along"]["lines"] is None, "a heat map"
    assert sum(map(len, data["grid"])) <= component.CELLS


def test_smoothing_of_the_tprs_moves_the_picture(empty, mounted):
    baselines(empty, 0)
    at = chosen("cdb")
    plain = mounted["new_preview_cdb"]["grid"]
    at.number_input(key="new_cdb_ema").set_value(0.9).run()
    assert not np.allclose(mounted["new_preview_cdb"]["grid"], plain)


@pytest.mark.parametrize(("sampler", "asks"), [("progressive", False), ("difficulty", True)])
def test_a_sampler_that_moves_is_drawn_epoch_by_epoch(empty, mounted, sampler, asks):
    baselines(empty, 0, imbalance=20.0)
    at = chosen("none")
    at.number_input(key="new_run_imbalance").set_value(20.0).run()
    at.selectbox(key="new_sampler").set_value(sampler).run()
    data = mounted["new_along_sampling"]
    assert data["along"]["epochs"] == list(range(1, 21))
    assert np.sum(data["grid"], axis=1) == pytest.approx(np.ones(20), abs=0.002)
    assert np.ptp(data["grid"], axis=0).max() > 0.01
    assert ("new_along" in {s.key for s in at.selectbox}) == asks
    assert "along" not in mounted["new_preview_none"], "the weight does not move"


@pytest.mark.parametrize(
    ("method", "deferred", "moving"),
    [
        ("vs", "everything", {"new_along_shift", "new_along_scale"}),
        ("vs", "weight", set()),
        ("balanced", "weight", {"new_preview_balanced"}),
    ],
)
def test_a_late_start_is_seen_in_every_term_that_waits(empty, mounted, method, deferred, moving):
    at = chosen(method)
    at.number_input(key="new_run_imbalance").set_value(20.0).run()
    mounted.clear()
    at.number_input(key="new_run_start").set_value(0.8)
    at.selectbox(key="new_run_deferred").set_value(deferred).run()
    late = {key: data for key, data in mounted.items() if "along" in data}
    assert set(late) == moving
    for data in late.values():
        assert data["along"]["begin"] == 16
        assert data["along"]["begin_words"] == "Late start: from epoch 17"
        assert np.allclose(data["grid"][0], data["grid"][15])
        assert not np.allclose(data["grid"][15], data["grid"][16])


def test_a_run_that_knows_other_classes_is_not_followed(empty, mounted):
    submit(empty, config_of(epochs=3), "others")
    train(empty, worker_of(empty), many(12), 3)
    at = chosen("cdb")
    assert any("different classes" in w.value for w in at.warning)
    assert "along" not in mounted["new_preview_cdb"]


@pytest.mark.parametrize(
    ("stops", "epochs", "classes", "fits"),
    [(161, 20, 10, True), (161, 90, 100, False), (161, 30, 10, False), (1, 200, 200, True)],
)
def test_what_the_browser_is_sent_is_bounded(stops, epochs, classes, fits):
    assert epoch_component.carries_all_stops(stops, epochs, classes) == fits
    assert epoch_component.most_epochs(classes) * classes <= max(component.CELLS, 2 * classes)
