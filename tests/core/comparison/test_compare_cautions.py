"""Cautions of a comparison: other splits, other seeds, few samples, data that changed."""

from dataclasses import replace

import pytest

from core.comparison.compare import compare
from core.comparison.confounders import DataChanged, OtherSamples, OtherSeeds, Unfinished
from core.comparison.verdict import SAME, UNFINISHED
from core.diagnostics.run_warnings import MadeOfFew, few_samples
from core.diagnostics.sample_size import FEW_VALIDATION, FewSamples, half_width
from core.diagnostics.sample_size import few_samples as enough
from core.experiment.config import RunConfig
from core.experiment.facts import Facts, StartEvidence
from tests.core.comparison.kit import AFTER, BEFORE, N, rng, shifted, side


def trained(label, tp=BEFORE, index_hash="a", n=N, **settings):
    config = RunConfig("mnist1d", "cnn1d", **settings)
    return side(tp, label, config.seed, n=n, config=config, index_hash=index_hash)


def test_a_fair_comparison_has_no_cautions():
    assert compare(trained("run 1"), trained("run 2", AFTER, method="tpr_ratio"), rng()).cautions == ()


@pytest.mark.parametrize("status", ["running", "queued", "paused", "cancelled", "failed"])
def test_a_run_that_has_not_finished_gets_no_verdict(status):
    """Not even where finished seeds would give one: its own figures would count as one of them."""
    seeds = [0, 1, 2, 3]
    after = side(AFTER // 2, "run 2", replicates=shifted(AFTER, seeds[1:], 4), status=status, epoch=3, epochs=20)
    c = compare(side(BEFORE, "run 1", replicates=shifted(BEFORE, seeds, 4)), after, rng())
    assert c.cautions == (Unfinished("run 2", status, 3, 20),)
    assert c.noise.kind == UNFINISHED
    assert not any(d.beyond or d.seeds for d in c.deltas.values())


def test_runs_of_the_same_settings_get_no_verdict_on_a_method():
    seeds = shifted(BEFORE, [0, 1, 2], 4)
    c = compare(side(BEFORE, "run 1", 0, seeds, group="g"), side(AFTER, "run 2", 1, seeds, group="g"), rng())
    assert c.noise.kind == SAME
    assert not any(d.beyond for d in c.deltas.values())


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"seed": 1}, ("seed",)),
        ({"imbalance": 10.0}, ("imbalance factor",)),
        ({"seed": 1, "imbalance": 10.0, "profile": "step"}, ("seed", "imbalance factor", "long-tail profile")),
    ],
)
def test_other_splits_through_other_settings_are_said(settings, names):
    c = compare(trained("run 1"), trained("run 2", AFTER, "b", **settings), rng())
    assert c.cautions == (OtherSamples(names),)


def test_runs_of_two_methods_with_different_seeds_say_so():
    """A run of seed 2 against a baseline of seed 0."""
    c = compare(trained("run 1"), trained("run 6", AFTER, seed=2, method="tpr_ratio"), rng())
    assert c.cautions == (OtherSeeds("run 1", 0, "run 6", 2),)
    assert c.noise.shown == (0, 2)


def test_means_over_seeds_are_fair_whatever_two_runs_stand_for_them():
    seeds = [0, 1, 2]
    before = replace(trained("run 1"), replicates=shifted(BEFORE, seeds, 4))
    after = replace(trained("run 6", AFTER, "b", seed=2, method="tpr_ratio"), replicates=shifted(AFTER, seeds, 4))
    c = compare(before, after, rng())
    assert c.cautions == ()
    assert c.noise.shown == (0, 2)


@pytest.mark.parametrize(
    ("method", "facts", "few"),
    [
        (
            "tpr_ratio",
            Facts(evidence=StartEvidence(support=[2.0, 2.0, 2.0])),
            FewSamples(3, "0", 2, half_width(2)),
        ),
        (
            "tpr_ratio",
            Facts(("ant", "bee", "cow"), evidence=StartEvidence(support=[9.0, 10.0, 500.0])),
            FewSamples(1, "ant", 9, half_width(9)),
        ),
        (
            "tpr_ratio",
            Facts(evidence=StartEvidence(support=[0.0, 10.0, 1.0])),
            FewSamples(2, "0", 0, None),
        ),
        ("cdb", Facts(counts={"validation": [40, 1, 40]}), FewSamples(1, "1", 1, half_width(1))),
    ],
)
def test_weights_from_few_validation_samples_are_reported(method, facts, few):
    c = compare(trained("run 1"), replace(trained("run 2", AFTER, method=method), facts=facts), rng())
    assert c.cautions == (MadeOfFew("run 2", ("weights",), few),)


def test_new_run_and_compare_report_few_samples_from_the_same_number_on():
    for n in (FEW_VALIDATION - 1, FEW_VALIDATION):
        few = enough([n, 500], ["ant", "bee"])
        assert (few is not None) is (n < FEW_VALIDATION)
        facts = Facts(("ant", "bee"), evidence=StartEvidence(support=[n, 500]))
        found = few_samples("run 2", RunConfig("mnist1d", "cnn1d", "tpr_ratio"), facts)
        assert (found and found.few) == few


@pytest.mark.parametrize(
    ("method", "facts"),
    [
        ("tpr_ratio", Facts(evidence=StartEvidence(support=[10.0, 10.0, 10.0]))),
        ("tpr_ratio", Facts()),
        ("inverse_frequency", Facts(counts={"validation": [2, 2, 2]}, evidence=StartEvidence(support=[2.0, 2.0, 2.0]))),
        ("gone", Facts(counts={"validation": [2, 2, 2]})),
    ],
)
def test_enough_samples_unknown_ones_or_other_methods_need_no_word(method, facts):
    assert few_samples("run 2", RunConfig("mnist1d", "cnn1d", method), facts) is None


def test_a_profile_without_a_tail_explains_nothing():
    c = compare(trained("run 1"), trained("run 2", AFTER, "b", profile="step"), rng())
    assert c.cautions == (DataChanged(tested=False),)


def test_data_that_changed_is_said():
    for after in (
        trained("run 2", AFTER, "b"),
        trained("run 2", AFTER // 2, n=N // 2),
        trained("run 2", AFTER // 2, "b", n=N // 2, seed=1),
    ):
        c = compare(trained("run 1"), after, rng())
        assert [type(caution) for caution in c.cautions] == [DataChanged]


def test_an_unknown_hash_says_nothing():
    assert compare(trained("run 1", index_hash=""), trained("run 2", AFTER), rng()).cautions == ()
