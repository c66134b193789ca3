"""Double correction: a caution where it happens, none where it does not."""

import numpy as np
import pytest

from core.datasets import describe
from core.diagnostics.double_correction import (
    DIFFICULTY,
    IMBALANCE,
    METHOD,
    SAMPLER,
    SAMPLING,
    Corrector,
    DoubleCorrection,
    double_correction,
)
from core.experiment.config import RunConfig, checked
from core.methods import METHODS, POSTHOC, TRAIN
from core.methods.samplers import SAMPLERS
from core.methods.types import Evidence
from services.submission import plan
from services.tpr_sources import TprSource

COUNTS = np.array([360, 129, 46, 16, 3])  # imbalance 120
WEIGHTS = "0.01, 0.03, 0.07, 0.2, 1"


def config(method="none", sampler="instance", epochs=20, **changes):
    return checked(RunConfig("mnist1d", "cnn1d", method, sampler=sampler, epochs=epochs, **changes))


def found(method, sampler="balanced", counts=COUNTS, tpr=None, before=None, **changes):
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
def test_two_corrections_of_class_imbalance(method, sampler, params):
    twice = found(method, sampler, params=params)
    assert twice.first == Corrector(METHOD, METHODS[method].label)
    assert twice.second == Corrector(SAMPLER, SAMPLERS[sampler].label)
    assert twice.corrects == IMBALANCE


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
    assert found(method, sampler, params=params) is None


def test_a_sampler_that_draws_as_the_data_are_corrects_nothing():
    assert found("inverse_frequency", "power", sampler_params={"q": 1.0}) is None
    assert found("inverse_frequency", "power", sampler_params={"q": 0.5}) is not None


@pytest.mark.parametrize("method", [m.key for m in METHODS if m.stage == TRAIN and m.key != "manual"])
def test_equal_counts_leave_a_balanced_sampler_nothing_to_correct(method):
    assert found(method, counts=[40, 40, 41, 39, 40]) is None


@pytest.mark.parametrize("method", ["cdb", "tpr_ratio", "tpr_deficit", "tpr_logit_adjusted"])
def test_difficulty_is_corrected_twice_on_equal_counts_too(method):
    sampler = Corrector(SAMPLER, SAMPLERS["difficulty"].label)
    twice = found(method, "difficulty", counts=[40] * 5)
    assert twice == DoubleCorrection(Corrector(METHOD, METHODS[method].label), sampler, DIFFICULTY)


def test_known_tprs_decide():
    """Under a long tail the rare classes are the hard ones, and both correct for one thing.

    Where the large class is the hard one they do not.
    """
    assert found("tpr_ratio", tpr=[0.9, 0.8, 0.6, 0.3, 0.1]) is not None
    assert found("tpr_ratio", tpr=[0.1, 0.3, 0.6, 0.8, 0.9]) is None


def test_a_class_without_samples_or_weight_is_left_out():
    assert found("inverse_frequency", counts=[500, 50, 0, 5]) is not None
    assert found("manual", params={"weights": "0.01, 0, 0.07, 0.2, 1"}) is not None
    assert found("manual", params={"weights": "0, 0, 0, 0, 1"}) is None


def test_a_weight_that_comes_late_counts():
    assert found("inverse_frequency", start=0.8) is not None
    assert found("custom", params={"formula": "1 + epoch * 1000 / n"}) is not None


def test_a_formula_that_refuses_presumed_tprs_says_nothing():
    assert found("custom", params={"formula": "log(tpr - 0.5)"}) is None


# ---------------------------------------------------------------- a step on a finished run


@pytest.mark.parametrize(
    ("before", "other"),
    [
        (config("balanced_softmax"), Corrector(METHOD, "Balanced softmax", earlier=True)),
        (config("inverse_frequency", start=0.8), Corrector(METHOD, "Inverse frequency", earlier=True)),
        (config("none", "balanced"), Corrector(SAMPLER, SAMPLERS["balanced"].label, earlier=True)),
        (config("l2rw"), Corrector(METHOD, "Learning to reweight (L2RW)", earlier=True)),
        (config("crt"), Corrector(SAMPLING, "Classifier re-training (cRT)", earlier=True)),
    ],
)
def test_post_hoc_logit_adjustment_of_a_corrected_run(before, other):
    twice = found("logit_adjusted_posthoc", "instance", before=before)
    assert twice == DoubleCorrection(Corrector(METHOD, "Post-hoc logit adjustment"), other, IMBALANCE)


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
    assert found(method, "instance", params=params, before=before) is None


# ---------------------------------------------------------------- where it is said


def test_a_plan_says_it_once(home):
    settings = config("inverse_frequency", "balanced", imbalance=100.0)
    made = plan(home[1], settings, describe("mnist1d", home[0]), [0, 1], TprSource())
    assert len(made.rows) == 2
    sampler = Corrector(SAMPLER, SAMPLERS["balanced"].label)
    assert made.findings == (DoubleCorrection(Corrector(METHOD, "Inverse frequency"), sampler, IMBALANCE),)
