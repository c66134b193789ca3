"""Cautions of a comparison: other splits, other seeds, few samples, data that changed."""

from dataclasses import replace

import pytest

from core.comparison.compare import compare
from core.diagnostics.run_warnings import few_samples
from core.diagnostics.sample_size import FEW
from core.diagnostics.sample_size import few_samples as enough
from core.experiment.config import RunConfig
from tests.core.comparison.kit import AFTER, BEFORE, N, rng, shifted, side


def trained(label, tp=BEFORE, index_hash="a", n=N, **settings):
    config = RunConfig("mnist1d", "cnn1d", **settings)
    return side(tp, label, config.seed, n=n, config=config, index_hash=index_hash)


def test_a_fair_comparison_has_no_cautions():
    assert compare(trained("run 1"), trained("run 2", AFTER, method="tpr_ratio"), rng()).cautions == ()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("running", "Run 2 is at epoch 3 of 20: let it finish before you judge."),
        ("queued", "Run 2 waits in the queue after epoch 3 of 20: let it finish before you judge."),
        ("paused", "Run 2 is paused after epoch 3 of 20: resume it and let it finish, or choose another run."),
        ("cancelled", "Run 2 was stopped after epoch 3 of 20: resume it and let it finish, or choose another run."),
        (
            "failed",
            "Run 2 failed after epoch 3 of 20: its error says what to mend; try it again, or choose another run.",
        ),
    ],
)
def test_a_run_that_has_not_finished_gets_no_verdict(status, words):
    """Not even where finished seeds would give one: its own figures would count as one of them."""
    seeds = [0, 1, 2, 3]
    after = side(AFTER // 2, "run 2", replicates=shifted(AFTER, seeds[1:], 4), status=status, epoch=3, epochs=20)
    c = compare(side(BEFORE, "run 1", replicates=shifted(BEFORE, seeds, 4)), after, rng())
    assert c.cautions == (words,)
    assert c.verdict.endswith("; no verdict: not both runs have finished")
    assert not any(d.beyond or d.seeds for d in c.deltas.values())


def test_runs_of_the_same_settings_get_no_verdict_on_a_method():
    seeds = shifted(BEFORE, [0, 1, 2], 4)
    c = compare(side(BEFORE, "run 1", 0, seeds, group="g"), side(AFTER, "run 2", 1, seeds, group="g"), rng())
    assert "no setting but the seed or the device differs, so this difference is chance" in c.verdict
    assert not any(d.beyond for d in c.deltas.values())


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"seed": 1}, "the seed differs"),
        ({"imbalance": 10.0}, "the imbalance factor differs"),
        ({"seed": 1, "imbalance": 10.0, "profile": "step"}, "the seed, imbalance factor and long-tail profile differ"),
    ],
)
def test_other_splits_through_other_settings_are_said(settings, names):
    c = compare(trained("run 1"), trained("run 2", AFTER, "b", **settings), rng())
    assert len(c.cautions) == 1
    assert (
        f"trained on different samples, because {names}: part of the difference may come from the samples"
        in c.cautions[0]
    )
    assert "compare two runs with the same" in c.cautions[0]


def test_runs_of_two_methods_with_different_seeds_say_so():
    """A run of seed 2 against a baseline of seed 0."""
    c = compare(trained("run 1"), trained("run 6", AFTER, seed=2, method="tpr_ratio"), rng())
    assert c.cautions == (
        "Run 1 has seed 0 and run 6 has seed 2: part of the difference may come from the seed. "
        "To judge a method, compare two runs with the same seed.",
    )
    assert "with one seed each (seed 0 before, 2 after), seed noise is unknown" in c.verdict


def test_means_over_seeds_are_fair_whatever_two_runs_stand_for_them():
    seeds = [0, 1, 2]
    before = replace(trained("run 1"), replicates=shifted(BEFORE, seeds, 4))
    after = replace(trained("run 6", AFTER, "b", seed=2, method="tpr_ratio"), replicates=shifted(AFTER, seeds, 4))
    c = compare(before, after, rng())
    assert c.cautions == ()
    assert "these two runs (seed 0 before, 2 after): " in c.verdict


@pytest.mark.parametrize(
    ("method", "facts", "words"),
    [
        (
            "tpr_ratio",
            {"evidence": {"support": [2.0, 2.0, 2.0]}},
            "3 classes have fewer than 10 validation samples. "
            "Class 0 has 2 validation samples: its TPR is known only to about ±41 points (95 %).",
        ),
        (
            "tpr_ratio",
            {"evidence": {"support": [9.0, 10.0, 500.0]}, "classes": ["ant", "bee", "cow"]},
            "Class ant has 9 validation samples: its TPR is known only to about ±27 points (95 %).",
        ),
        (
            "tpr_ratio",
            {"evidence": {"support": [0.0, 10.0, 1.0]}},
            "2 classes have fewer than 10 validation samples. Class 0 has 0 validation samples: its TPR cannot be measured",
        ),
        ("cdb", {"counts": {"validation": [40, 1, 40]}}, "Class 1 has 1 validation sample: "),
    ],
)
def test_weights_from_few_validation_samples_are_said(method, facts, words):
    c = compare(trained("run 1"), replace(trained("run 2", AFTER, method=method), facts=facts), rng())
    assert len(c.cautions) == 1
    assert c.cautions[0].startswith(f"The weights of run 2 rest on TPRs of few validation samples. {words}")
    assert c.cautions[0].endswith("Hold out a larger validation share, or compare several seeds.")


def test_new_run_and_compare_say_few_samples_in_the_same_words_from_the_same_number_on():
    for n in (FEW - 1, FEW):
        text = enough([n, 500], ["ant", "bee"])
        assert bool(text) is (n < FEW)
        assert text in few_samples(
            "run 2",
            RunConfig("mnist1d", "cnn1d", "tpr_ratio"),
            {"evidence": {"support": [n, 500]}, "classes": ["ant", "bee"]},
        )


@pytest.mark.parametrize(
    ("method", "facts"),
    [
        ("tpr_ratio", {"evidence": {"support": [10.0, 10.0, 10.0]}}),
        ("tpr_ratio", {"evidence": {"support": None}}),
        ("tpr_ratio", {}),
        ("inverse_frequency", {"evidence": {"support": [2.0, 2.0, 2.0]}, "counts": {"validation": [2, 2, 2]}}),
        ("gone", {"counts": {"validation": [2, 2, 2]}}),
    ],
)
def test_enough_samples_unknown_ones_or_other_methods_need_no_word(method, facts):
    assert few_samples("run 2", RunConfig("mnist1d", "cnn1d", method), facts) == ""


def test_a_profile_without_a_tail_explains_nothing():
    c = compare(trained("run 1"), trained("run 2", AFTER, "b", profile="step"), rng())
    assert c.cautions[0].startswith("The data changed between the two runs: they were trained on different samples")


def test_data_that_changed_is_said():
    for after in (
        trained("run 2", AFTER, "b"),
        trained("run 2", AFTER // 2, n=N // 2),
        trained("run 2", AFTER // 2, "b", n=N // 2, seed=1),
    ):
        c = compare(trained("run 1"), after, rng())
        assert len(c.cautions) == 1
        assert c.cautions[0].startswith("The data changed between the two runs: they were ")
        assert "Train the older one again" in c.cautions[0]


def test_an_unknown_hash_says_nothing():
    assert compare(trained("run 1", index_hash=""), trained("run 2", AFTER), rng()).cautions == ()
