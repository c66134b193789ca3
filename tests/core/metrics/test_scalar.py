"""Every measure against scikit-learn or a plain loop."""

import math
import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from core.errors import EvenlyError
from core.metrics.scalar import MEASURES, ece, group_tpr, halves, minority_class, shots, weighted_score
from tests.core.metrics.kit import class_metrics


def predictions(n=500, classes=6, seed=0, never=(), absent=()):
    """Truth and predictions; `never` are classes that are not predicted, `absent` classes without samples."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([c for c in range(classes) if c not in absent], n)
    said = np.where(rng.random(n) < 0.6, truth, rng.integers(0, classes, n))
    said = np.where(np.isin(said, never), (said + 1) % classes, said)
    return truth, said


def of(truth, said, classes=6):
    return class_metrics(np.bincount(truth * classes + said, minlength=classes * classes).reshape(classes, classes))


def gmean(truth, said):
    tpr = sk.recall_score(truth, said, labels=np.unique(truth), average=None)
    return math.prod(tpr) ** (1 / len(tpr))


SKLEARN = {
    "accuracy": sk.accuracy_score,
    "balanced_accuracy": sk.balanced_accuracy_score,
    "g_mean": gmean,
    "macro_precision": lambda t, s: sk.precision_score(t, s, labels=np.unique(t), average="macro", zero_division=0),
    "macro_f1": lambda t, s: sk.f1_score(t, s, average="macro", zero_division=0),
    "worst_class": lambda t, s: sk.recall_score(t, s, labels=np.unique(t), average=None).min(),
    "tpr_variance": lambda t, s: np.var(sk.recall_score(t, s, labels=np.unique(t), average=None)),
}


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"seed": 1},
        {"never": (2,)},
        {"never": (0, 5)},
        {"absent": (3,)},
        {"absent": (0, 1), "never": (4,)},
        {"n": 12},
    ],
    ids=str,
)
@pytest.mark.parametrize("key", MEASURES.keys)
def test_measure_is_scikit_learns(key, case):
    truth, said = predictions(**case)
    with warnings.catch_warnings():  # scikit-learn warns of predicted classes without samples
        warnings.simplefilter("ignore")
        expected = SKLEARN[key](truth, said)
    assert MEASURES[key].compute(of(truth, said)) == pytest.approx(expected, abs=1e-12)


def test_macro_recall_is_balanced_accuracy():
    truth, said = predictions()
    found = MEASURES["balanced_accuracy"].compute(of(truth, said))
    assert found == pytest.approx(sk.recall_score(truth, said, average="macro", zero_division=0))


def test_a_class_never_found_makes_the_g_mean_0():
    assert MEASURES["g_mean"].compute(class_metrics([[9, 1], [4, 0]])) == 0


@pytest.mark.parametrize("key", MEASURES.keys)
def test_an_empty_split_has_no_measure(key):
    assert math.isnan(MEASURES[key].compute(class_metrics(np.zeros((3, 3), int))))


def test_rows_are_complete():
    for m in MEASURES:
        assert m.summary.endswith(".")
        assert m.source.authors
        assert m.formula


# ---------------------------------------------------------------- the weighted score of two classes

TWO = class_metrics([[90, 10], [12, 28]])  # TNR .9, TPR .7


@pytest.mark.parametrize(
    ("alpha", "positive", "expected"), [(1, 1, 0.7), (0, 1, 0.9), (0.5, 1, 0.8), (0.25, 1, 0.85), (0.25, 0, 0.75)]
)
def test_weighted_score(alpha, positive, expected):
    assert weighted_score(TWO, alpha, positive) == pytest.approx(expected)


def test_weighted_score_at_one_half_is_balanced_accuracy():
    truth, said = predictions(classes=2)
    assert weighted_score(of(truth, said, 2), 0.5) == pytest.approx(sk.balanced_accuracy_score(truth, said))


def test_weighted_score_is_accuracy_at_the_share_of_the_positives():
    """alpha n+/n: the form of the course notes that counts every sample alike."""
    assert weighted_score(TWO, 40 / 140) == pytest.approx(MEASURES["accuracy"].compute(TWO))


def test_weighted_score_of_what_it_is_not_for():
    with pytest.raises(EvenlyError, match="for 2 classes, this task has 6"):
        weighted_score(of(*predictions()), 0.5)
    for alpha in (-0.1, 1.1, math.nan):
        with pytest.raises(EvenlyError, match=r"alpha is .*, expected a number from 0 to 1"):
            weighted_score(TWO, alpha)
    assert math.isnan(weighted_score(class_metrics([[9, 1], [0, 0]]), 0.5))


# ---------------------------------------------------------------- groups of classes


def test_shots_at_their_boundaries():
    """Many above 100, few below 20, as in the authors' code; every class is in one group."""
    found = {name: np.flatnonzero(mask).tolist() for name, mask in shots([500, 101, 100, 20, 19, 1, 0]).items()}
    assert found == {"many": [0, 1], "medium": [2, 3], "few": [4, 5, 6]}


def test_majority_and_minority():
    found = {name: mask.tolist() for name, mask in halves([80, 20, 50, 50]).items()}
    assert found == {"majority": [True, False, True, True], "minority": [False, True, False, False]}
    assert minority_class([5, 0, 3, 3]) == 2


def test_group_tpr_is_the_mean_of_its_classes_that_have_samples():
    m = class_metrics([[8, 2, 0, 0], [5, 5, 0, 0], [0, 0, 0, 0], [1, 0, 0, 3]])
    groups = {
        "a": np.array([True, True, True, False]),
        "b": np.array([False, False, False, True]),
        "none": np.array([False, False, True, False]),
    }
    assert group_tpr(m, groups) == {"a": (2, pytest.approx(0.65)), "b": (1, 0.75)}


# ---------------------------------------------------------------- calibration


def test_ece_by_a_plain_loop():
    """Over 15 equal bins (a, b] of the confidence: share of the samples times |accuracy - mean confidence|."""
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.2, 1, 400)
    hit = rng.random(400) < 0.6  # too sure above, not sure enough below
    bins, expected = np.zeros((3, 15)), 0.0
    for b in range(15):
        inside = [(h, p) for h, p in zip(hit, confidence, strict=True) if b / 15 < p <= (b + 1) / 15]
        if inside:
            accuracy, mean = (sum(v) / len(inside) for v in zip(*inside, strict=True))
            expected += len(inside) / 400 * abs(accuracy - mean)
            bins[:, b] = len(inside), sum(h for h, _ in inside), sum(p for _, p in inside)
    assert ece(bins) == pytest.approx(expected, abs=1e-12)
    assert 0.05 < expected < 0.5


def test_ece_at_its_ends():
    assert ece([[10], [10], [10.0]]) == 0
    assert ece([[10], [0], [10.0]]) == 1
    assert math.isnan(ece(np.zeros((3, 15))))
