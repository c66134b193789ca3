"""One imbalance that is made up for twice: warned of where it happens, silent where it does not."""

import numpy as np
import pytest

from core.datasets import describe
from core.diagnostics.double_correction import double_correction
from core.experiment.config import RunConfig, checked
from core.methods import METHODS, POSTHOC, TRAIN
from core.methods.types import Evidence
from services.submission import plan
from services.tpr_sources import Source

COUNTS = np.array([360, 129, 46, 16, 3])  # imbalance 120
WEIGHTS = "0.01, 0.03, 0.07, 0.2, 1"
TWICE = ": the correction is applied twice."


def config(method="none", sampler="instance", epochs=20, **changes):
    return checked(RunConfig("mnist1d", "cnn1d", method, sampler=sampler, epochs=epochs, **changes))


def said(method, sampler="balanced", counts=COUNTS, tpr=None, before=None, **changes):
    support = None if tpr is None else [50.0] * len(counts)
    return double_correction(
        config(method, sampler, **changes), Evidence(len(counts), counts=counts, tpr=tpr, support=support), before
    )


@pytest.mark.parametrize(
    ("method", "sampler", "params"),
    [
        ("inverse_frequency", "balanced", {}),
        ("inverse_frequency", "undersample", {}),
        ("sqrt_inverse_frequency", "square_root", {}),
        ("balanced_softmax", "class_aware", {}),
        ("logit_adjusted", "share", {}),
        ("vs", "progressive", {}),
        ("cdt", "balanced", {}),
        ("poly_tail", "balanced", {}),
        ("class_balanced", "half_and_half", {}),
        ("ldam", "balanced", {"reweight": 0.9999}),
        ("manual", "balanced", {"weights": WEIGHTS}),
        ("custom", "balanced", {"formula": "1 / n"}),
        ("cdb", "balanced", {}),
        ("tpr_ratio", "balanced", {}),
        ("l2rw", "balanced", {}),
        ("meta_weight_net", "balanced", {}),
        ("difficulty_net", "balanced", {}),
        ("group_dro", "balanced", {"adjustment": 1.0}),
    ],
)
def test_two_corrections_of_unequal_counts(method, sampler, params):
    text = said(method, sampler, params=params)
    assert text is not None
    assert text.startswith(f"{METHODS[method].label} and the sampler ")
    assert text.endswith(f" both make up for unequal counts{TWICE}")


@pytest.mark.parametrize(
    ("method", "sampler", "params"),
    [
        ("poly_tail", "balanced", {"reweight": 0.0}),
        ("class_balanced", "balanced", {"beta": 0.0}),
        ("logit_adjusted", "balanced", {"tau": 0.0}),
        ("smooth_inverse_frequency", "balanced", {"gamma": 0.0}),
        ("custom", "balanced", {"formula": "1/n*0 + 1"}),
        ("tpr_ratio", "balanced", {"exponent": 0.0}),
        ("label_aware_smoothing", "balanced", {}),
        ("ldam", "balanced", {}),
        ("focal", "balanced", {}),
        ("ghm", "balanced", {}),
        ("none", "balanced", {}),
        ("group_dro", "balanced", {}),
        ("manual", "balanced", {"weights": "2, 2, 2, 2, 2"}),
        ("crt", "square_root", {}),
        ("lws", "balanced", {}),
        *((m.key, "instance", {}) for m in METHODS if m.stage == TRAIN and m.key != "manual"),
    ],
)
def test_one_correction_is_no_warning(method, sampler, params):
    """By what is set, not by what the row looks at: a beta, gamma or tau of 0 corrects nothing, a margin or a smoothing weighs nothing."""
    assert said(method, sampler, params=params) is None


def test_a_sampler_that_draws_as_the_data_are_corrects_nothing():
    assert said("inverse_frequency", "power", sampler_params={"q": 1.0}) is None
    assert said("inverse_frequency", "power", sampler_params={"q": 0.5}) is not None


@pytest.mark.parametrize("method", [m.key for m in METHODS if m.stage == TRAIN and m.key != "manual"])
def test_equal_counts_leave_a_balanced_sampler_nothing_to_correct(method):
    assert said(method, counts=[40, 40, 41, 39, 40]) is None


@pytest.mark.parametrize("method", ["cdb", "tpr_ratio", "tpr_deficit", "tpr_logit_adjusted"])
def test_difficulty_is_corrected_twice_on_equal_counts_too(method):
    text = said(method, "difficulty", counts=[40] * 5)
    assert (
        text
        == f"{METHODS[method].label} and the sampler difficulty (CDB-S) both make up for the difficulty of the classes{TWICE}"
    )


def test_known_tprs_decide():
    """Under a long tail the rare classes are the hard ones, and both make up for one thing.

    Where the large class is the hard one they do not.
    """
    assert said("tpr_ratio", tpr=[0.9, 0.8, 0.6, 0.3, 0.1]) is not None
    assert said("tpr_ratio", tpr=[0.1, 0.3, 0.6, 0.8, 0.9]) is None


def test_a_class_without_samples_or_weight_is_left_out():
    assert said("inverse_frequency", counts=[500, 50, 0, 5]) is not None
    assert said("manual", params={"weights": "0.01, 0, 0.07, 0.2, 1"}) is not None
    assert said("manual", params={"weights": "0, 0, 0, 0, 1"}) is None


def test_a_weight_that_comes_late_counts():
    assert said("inverse_frequency", start=0.8) is not None
    assert said("custom", params={"formula": "1 + epoch * 1000 / n"}) is not None


def test_a_formula_that_refuses_presumed_tprs_says_nothing():
    assert said("custom", params={"formula": "log(tpr - 0.5)"}) is None


# ---------------------------------------------------------------- a step on a finished run


@pytest.mark.parametrize(
    ("before", "other"),
    [
        (config("balanced_softmax"), "Balanced softmax"),
        (config("inverse_frequency", start=0.8), "Inverse frequency"),
        (config("none", "balanced"), "the sampler class-balanced"),
        (config("l2rw"), "Learning to reweight (L2RW)"),
        (config("crt"), "the draws of Classifier re-training (cRT)"),
    ],
)
def test_post_hoc_logit_adjustment_of_a_corrected_run(before, other):
    text = said("logit_adjusted_posthoc", "instance", before=before)
    assert (
        text
        == f"Post-hoc logit adjustment and {other} of the run it goes on from both make up for unequal counts{TWICE}"
    )


@pytest.mark.parametrize(
    ("method", "params", "before"),
    [
        ("logit_adjusted_posthoc", {}, config()),
        ("logit_adjusted_posthoc", {}, None),
        ("logit_adjusted_posthoc", {}, config("focal")),
        ("logit_adjusted_posthoc", {"tau": 0.0}, config("balanced_softmax")),
        ("logit_adjusted_posthoc", {"tau": -1.0}, config("balanced_softmax")),
        *(
            (m.key, {}, config("balanced_softmax"))
            for m in METHODS
            if m.stage == POSTHOC and m.key != "logit_adjusted_posthoc"
        ),
        *((m, {}, config("balanced_softmax", "balanced")) for m in ("crt", "lws", "oltr")),
    ],
)
def test_a_step_that_corrects_once(method, params, before):
    """A fitted bias and norms of the trained layer take the correction that is there into account.

    A second stage learns on even draws of its own.
    """
    assert said(method, "instance", params=params, before=before) is None


# ---------------------------------------------------------------- where it is said


def test_a_plan_says_it_once(home):
    settings = config("inverse_frequency", "balanced", imbalance=100.0)
    made = plan(home[1], settings, describe("mnist1d", home[0]), [0, 1], Source())
    assert len(made.rows) == 2
    (caution,) = made.cautions
    assert caution.text == f"Inverse frequency and the sampler class-balanced both make up for unequal counts{TWICE}"
