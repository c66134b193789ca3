"""A comparison whose runs differ in something else than the weighting: said before the verdict, and nothing is praised."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from core.comparison.compare import compare
from core.comparison.confounders import (
    ApartFromBaseline,
    Difference,
    OtherSettings,
    apart_from_baseline,
    beside_the_weighting,
)
from core.experiment.config import RunConfig, checked
from core.experiment.facts import Facts
from core.methods import METHODS, POSTHOC, TRAIN
from pages.components.compare import tiles
from reporting import text
from reporting.csv_json import comparison_dict
from tests.core.comparison.kit import AFTER, BEFORE, rng, shifted, side

PLAIN = checked(RunConfig("mnist1d", "cnn1d"))
WEIGHTED = replace(PLAIN, method="tpr_ratio", params={"exponent": 2.0})


def run(label, config, tp=BEFORE, index_hash="a", **more):
    return side(tp, label, config.seed, config=config, index_hash=index_hash, group=label, **more)


def against_plain(config, **more):
    return compare(run("run 1", PLAIN), run("run 3", config, AFTER + 20, **more), rng())


def test_three_times_the_epochs_are_said_and_not_praised():
    c = against_plain(replace(WEIGHTED, epochs=60))
    epochs = OtherSettings("run 1", "run 3", (Difference("epochs", 20, 60),), same_weighting=False)
    assert c.cautions == c.mixed == (epochs,)
    assert json.loads(json.dumps(comparison_dict(c)))["cautions"] == [text.of(epochs)]


@pytest.mark.parametrize(
    ("more", "differences"),
    [
        ({"model": "mlp"}, (Difference("model"),)),
        ({"recipe": "sgd_cosine"}, (Difference("recipe"),)),
        ({"recipe_params": {"batch_size": 50}}, (Difference("batch size", 100, 50),)),
        (
            {"model": "mlp", "epochs": 5, "recipe_params": {"lr": 0.02}},
            (Difference("model"), Difference("epochs", 20, 5), Difference("learning rate", 0.01, 0.02)),
        ),
    ],
)
def test_every_other_setting_is_named(more, differences):
    (found,) = against_plain(checked(replace(WEIGHTED, **more))).mixed
    assert (found.differences, found.same_weighting) == (differences, False)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"params": {"exponent": 4.0}},
        {"sampler": "balanced"},
        {"start": 0.8},
        {"deferred": "weight"},
        {"reduction": "batch_mean"},
        {"device": "cpu"},
        {"tpr": (0.5,) * 10, "tpr_source": "a file"},
    ],
)
def test_what_belongs_to_the_weighting_is_no_caution(more):
    assert against_plain(replace(WEIGHTED, **more)).cautions == ()


@pytest.mark.parametrize("method", [m for m in METHODS if m.stage != TRAIN][:4], ids=lambda m: m.key)
def test_the_epochs_of_a_second_stage_are_its_own(method):
    assert beside_the_weighting(PLAIN, replace(PLAIN, method=method.key, epochs=3, recipe="sgd_cosine")) == ()
    two = replace(PLAIN, method=method.key, epochs=3)
    assert beside_the_weighting(two, replace(two, epochs=9)) == (Difference("epochs", 3, 9),)


@pytest.mark.parametrize(
    ("facts", "mixed"),
    [
        (Facts(precision="bfloat16"), 1),
        (Facts(precision="float32"), 0),
        (Facts(), 0),  # before it was recorded
    ],
)
def test_what_auto_trained_at_is_a_setting_too(facts, mixed):
    c = against_plain(WEIGHTED, facts=facts)
    assert len(c.mixed) == mixed
    assert all(found.differences == (Difference("precision", "float32", "bfloat16"),) for found in c.mixed)


def test_asking_for_what_auto_took_is_no_difference():
    assert against_plain(replace(WEIGHTED, precision="float32")).mixed == ()


def test_a_post_hoc_step_trains_at_no_precision():
    step = next(m.key for m in METHODS if m.stage == POSTHOC)
    before = run("run 1", PLAIN, facts=Facts(precision="bfloat16"))
    assert compare(before, run("run 3", replace(PLAIN, method=step), AFTER + 20), rng()).mixed == ()


def test_a_setting_that_a_stored_run_leaves_out_is_at_its_default():
    stored = json.loads(PLAIN.to_json())
    assert "precision" not in stored
    assert apart_from_baseline(1, WEIGHTED, PLAIN) is None
    found = apart_from_baseline(1, replace(WEIGHTED, precision="bfloat16"), PLAIN)
    assert found == ApartFromBaseline(1, (Difference("precision", "auto", "bfloat16"),))


def test_runs_of_one_weighting_do_not_credit_it():
    (found,) = against_plain(replace(PLAIN, epochs=60)).mixed
    assert found == OtherSettings("run 1", "run 3", (Difference("epochs", 20, 60),), same_weighting=True)


@pytest.mark.parametrize(
    ("config", "index_hash"),
    [
        (replace(WEIGHTED, seed=3), "a"),
        (replace(WEIGHTED, imbalance=10.0), "b"),
        (replace(WEIGHTED, imbalance=10.0), ""),
    ],
)
def test_another_seed_and_other_samples_are_not_praised_either(config, index_hash):
    c = against_plain(config, index_hash=index_hash)
    assert len(c.mixed) == 1


def test_paired_seeds_are_praised_unless_another_setting_differs():
    seeds = [0, 1, 2]
    before = run("run 1", PLAIN, replicates=shifted(BEFORE, seeds, 2))
    for config, mixed in ((replace(WEIGHTED, seed=2), 0), (replace(WEIGHTED, seed=2, epochs=60), 1)):
        c = compare(before, run("run 6", config, AFTER + 20, "b", replicates=shifted(AFTER + 20, seeds, 2)), rng())
        assert len(c.mixed) == mixed


@pytest.mark.parametrize(("config", "gain"), [(WEIGHTED, "green"), (replace(WEIGHTED, epochs=60), "off")])
def test_the_tiles_are_green_only_where_the_weights_did_it(config, gain):
    c = compare(run("run 1", PLAIN), run("run 3", config, BEFORE + 18), rng())
    delta = c.deltas["accuracy"]
    assert delta.beyond
    assert tiles.tile_color(c, delta, delta.change, True, False) == gain
    worse = compare(run("run 1", PLAIN), run("run 3", config, BEFORE - 60), rng())
    delta = worse.deltas["accuracy"]
    assert tiles.tile_color(worse, delta, delta.change, True, False) == "red"


def test_what_sets_a_run_apart_from_its_baseline_before_it_starts():
    found = apart_from_baseline(1, replace(WEIGHTED, epochs=60, recipe_params={}), PLAIN)
    assert found == ApartFromBaseline(1, (Difference("epochs", 20, 60),))
    assert apart_from_baseline(1, replace(WEIGHTED, recipe_params={}, seed=4), PLAIN) is None
