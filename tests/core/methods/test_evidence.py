"""Evidence that is missing, at its limits or wrong: clipped TPRs, filled and clipped weights, refusals."""

import math

import numpy as np
import pytest

from core.errors import EvenlyError
from core.methods import METHODS, answer, what_if
from core.methods.normalization import NEGLIGIBLE
from core.methods.notes import (
    CountsFilled,
    ShiftsZero,
    TprsClipped,
    WeightsClipped,
    WeightsFilled,
    WeightsNegligible,
)
from core.methods.types import Evidence
from tests.core.methods.kit import RAW, close, terms


def test_floor_is_half_a_validation_sample():
    """(mean/A)^1 with A = 1/400 for the class at 0 of 200; the class at 1 of 50 counts as .99."""
    found = terms("tpr_ratio", {"exponent": 1, **RAW}, tpr=[0, 0.5, 1], support=[200, 100, 50])
    clipped = np.array([0.0025, 0.5, 0.99])
    close(found.weight, clipped.mean() / clipped)
    assert found.clipped == (0, 2)
    assert found.notes == (TprsClipped((0, 2)),)


def test_a_tpr_without_samples_is_no_tpr():
    """A support of 0 outweighs a number given for the TPR."""
    with_number = terms("tpr_ratio", tpr=[0.9, 0.1, 0.5], support=[50, 0, 50])
    assert (
        with_number.weight.tolist() == terms("tpr_ratio", tpr=[0.9, np.nan, 0.5], support=[50, 0, 50]).weight.tolist()
    )
    assert with_number.weight[1] == pytest.approx(1)


def test_unknown_support_is_said_only_when_it_bites():
    assert terms("tpr_deficit", tpr=[0.4, 0.9]).notes == ()
    found = terms("tpr_deficit", tpr=[0.4, 1.0])
    assert found.weight[1] / found.weight[0] == pytest.approx(0.001 / 0.6)
    assert found.notes == (TprsClipped((1,), 0.001),)


@pytest.mark.parametrize(
    ("key", "params"),
    [
        ("tpr_ratio", {}),
        ("tpr_inverse", {}),
        ("tpr_deficit", {}),
        ("tpr_softmax", {}),
        ("tpr_neglog", {}),
        ("cdb", {"tau": 1}),
    ],
)
def test_class_without_validation_samples_gets_the_mean(key, params):
    found = terms(key, params, tpr=[0.9, np.nan, 0.5, 0.4], support=[100, 0, 100, 100])
    close(np.delete(found.weight, 1), terms(key, params, tpr=[0.9, 0.5, 0.4]).weight)
    assert found.weight[1] == pytest.approx(1)
    assert WeightsFilled((1,), ("tpr",)) in found.notes


def test_class_without_a_tpr_gets_no_shift():
    found = terms("tpr_logit_adjusted", tpr=[0.9, np.nan, 0.3])
    close(found.shift, [math.log(1.5), 0, math.log(0.5)])
    assert found.notes == (ShiftsZero(1, 3),)


@pytest.mark.parametrize(
    "key",
    [
        "inverse_frequency",
        "sqrt_inverse_frequency",
        "smooth_inverse_frequency",
        "log_frequency",
        "class_balanced",
        "poly_tail",
        "ldam",
        "label_aware_smoothing",
        "cdt",
        "vs",
        "logit_adjusted",
        "balanced_softmax",
    ],
)
def test_class_without_training_samples_leaves_the_others_alone(key):
    """Up to the common summand of a shift, which changes nothing; and a note says what was assumed."""
    found, without = terms(key, counts=[100, 0, 10, 2]), terms(key, counts=[100, 10, 2])
    for name, vector in without.set().items():
        others = np.delete(getattr(found, name), 1) - vector
        assert np.ptp(others) < 1e-12 if name == "shift" else np.abs(others).max() < 1e-12, name
    assert isinstance(found.notes[0], (CountsFilled, WeightsFilled))
    assert found.notes[0].classes == (1,)


@pytest.mark.parametrize("value", [0.0, 0.37, 1.0])
@pytest.mark.parametrize("key", ["tpr_ratio", "tpr_inverse", "tpr_deficit", "tpr_softmax", "tpr_neglog", "cdb"])
def test_equal_tprs_weigh_one_whatever_the_supports(key, value):
    for support in (None, [10, 200, 3000]):
        close(terms(key, tpr=[value] * 3, support=support).weight, 1)


@pytest.mark.parametrize(
    ("key", "vectors"),
    [
        *(
            (key, {"tpr": [np.nan, np.nan]})
            for key in (
                "tpr_ratio",
                "tpr_inverse",
                "tpr_deficit",
                "tpr_softmax",
                "tpr_neglog",
                "tpr_logit_adjusted",
                "cdb",
            )
        ),
        *((m.key, {"counts": [0, 0]}) for m in METHODS if m.needs == {"counts"}),
    ],
)
def test_nothing_known_of_any_class_is_refused(key, vectors):
    with pytest.raises(EvenlyError, match=r"no class has"):
        terms(key, **vectors)


def test_largest_ratio_is_clipped_and_said():
    found = terms("tpr_ratio", {"exponent": 4, "max_ratio": 100}, tpr=[0.9, 0.5, 0.01])
    assert found.weight.max() / found.weight.min() == pytest.approx(100)
    assert found.weight.mean() == pytest.approx(1)
    assert found.clipped == (2,)
    assert found.notes[0] == WeightsClipped((2,), 100)
    assert terms("tpr_ratio", {"max_ratio": 1}, tpr=[0.9, 0.5, 0.01]).weight.tolist() == [1, 1, 1]


def test_a_class_next_to_no_gradient_is_named():
    assert terms("tpr_deficit", {"tau": 8}, tpr=[0.999, 0.5, 0.2]).notes == (WeightsNegligible((0,), NEGLIGIBLE),)
    least = terms("tpr_deficit", {"tau": 8}, tpr=[1, 0.5, 0.2], support=[10**6] * 3)
    assert least.weight.astype(np.float32).min() > 0  # what training in single precision sees
    assert 0 in least.clipped


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("tpr_ratio", "tpr_ratio needs the TPRs of an earlier run: choose a baseline or paste TPRs"),
        ("inverse_frequency", "inverse_frequency needs the training counts"),
        ("magic", "unknown method 'magic'; known: none, tpr_ratio"),
    ],
)
def test_missing_evidence_and_unknown_method(key, message):
    with pytest.raises(EvenlyError, match=message):
        answer(key, Evidence(3))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (
            {"tpr": [0.5, 1.2]},
            r"tpr of class 1 is 1\.2, expected a finite number in \[0, 1\]; write percentages with a % sign",
        ),
        ({"tpr": [0.5]}, "tpr has 1 value, expected 2"),
        ({"counts": [1, -1]}, "counts of class 1 is -1"),
        ({"counts": [1, math.inf]}, "counts of class 1 is inf, expected a finite number"),
        ({"tpr": ["a", "b"]}, "tpr must be numbers"),
    ],
)
def test_bad_evidence(vectors, message):
    with pytest.raises(EvenlyError, match=message):
        what_if(2, **vectors)


def test_past_tprs_of_another_shape():
    with pytest.raises(EvenlyError, match=r"past TPRs have the shape \(3, 2\), expected epochs x 3"):
        Evidence(3, past=np.ones((3, 2)))
