"""Cautions about one run: TPRs of few validation samples, or of samples that the network was trained on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.diagnostics.run_warnings import SeenInTraining, baseline_seen_in_training, few_samples, seen_in_training
from core.experiment.config import RunConfig, checked
from core.experiment.facts import NOT_STARTED, Facts, StartEvidence
from core.methods import METHODS

COUNTS_ONLY = {"method": "custom", "params": {"formula": "1/n"}}
BY_TPR = {"method": "custom", "params": {"formula": "1/tpr"}}
FEW = Facts(("ant", "bee"), {"validation": [3, 400]}, evidence=StartEvidence(support=[3, 400]))
MANY = replace(FEW, evidence=StartEvidence(support=[300, 400]))


@pytest.mark.parametrize(
    ("settings", "facts", "made"),
    [
        (BY_TPR, FEW, ("weights",)),
        (COUNTS_ONLY, FEW, ()),
        (COUNTS_ONLY | {"sampler": "difficulty"}, FEW, ("sampling",)),
        ({"method": "none", "sampler": "difficulty"}, FEW, ("sampling",)),
        (BY_TPR | {"sampler": "difficulty"}, MANY, ("sampling",)),
        (BY_TPR | {"sampler": "difficulty"}, FEW, ("weights", "sampling")),
        ({"method": "none", "sampler": "balanced"}, FEW, ()),
    ],
)
def test_weights_and_sampling_from_few_validation_samples_are_reported(settings, facts, made):
    found = few_samples("run 2", RunConfig("mnist1d", "cnn1d", **settings), facts)
    assert (found.made if found else ()) == made


# -- validation samples that were trained on ---------------------------------------------------------------------

BASE = RunConfig("mnist1d", "cnn1d", epochs=1)
LEARNERS = ("l2rw", "meta_weight_net", "difficulty_net")


def settings(method="tpr_ratio", **changes):
    return checked(replace(BASE, method=method, **changes))


def facts(method):
    return Facts(evidence=StartEvidence(method=method))


def test_the_rows_that_learn_from_validation_samples():
    assert tuple(sorted(m.key for m in METHODS if m.meets_validation)) == tuple(sorted(LEARNERS))
    for key in LEARNERS:
        assert "judge it by the test split" in METHODS[key].caveat


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize(
    ("method", "made"),
    [
        ("tpr_ratio", "weights"),
        ("custom", "weights"),
        ("equal_tpr_bias", "fit"),
    ],
)
def test_what_rests_on_samples_that_were_learned_from(method, made, learner):
    found = SeenInTraining("run 2", made, METHODS[learner].label)
    assert seen_in_training("run 2", settings(method), facts(learner)) == found
    assert baseline_seen_in_training("run 2", settings(method), learner) == found


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (settings(), facts("none")),
        (settings(), facts("cdb")),
        (settings(), NOT_STARTED),
        (settings(), facts("gone")),
        (settings("inverse_frequency"), facts("l2rw")),
        (settings("custom", params={"formula": "1 / n"}), facts("l2rw")),
        (settings("logit_adjusted_posthoc"), facts("l2rw")),
        (settings("cdb"), facts("l2rw")),
        (settings(tpr=(0.5,) * 10), facts("l2rw")),
        (settings("l2rw"), facts("")),
        (replace(BASE, method="gone"), facts("l2rw")),
    ],
)
def test_what_does_not(given, known):
    assert seen_in_training("run 2", given, known) is None


def test_sampling_by_the_tprs_of_a_run_that_learns_from_them():
    found = seen_in_training("run 2", settings("l2rw", sampler="difficulty"), NOT_STARTED)
    assert found == SeenInTraining("run 2", "sampling", METHODS["l2rw"].label)
