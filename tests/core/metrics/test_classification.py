"""Metrics from counts against scikit-learn and SciPy, which count and integrate in their own way."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
    top_k_accuracy_score,
)

from core.errors import EvenlyError
from core.metrics.classification import metrics_from_counts, summary_from_counts
from core.metrics.intervals import wilson
from tests.core.metrics.kit import class_metrics, summary

CASES = [(2, 40), (3, 200), (10, 2_000), (1000, 20_000)]


def labels(classes, n, seed, right=0.6):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    return truth, np.where(rng.random(n) < right, truth, rng.integers(0, classes, n))


@pytest.mark.parametrize(("classes", "n"), CASES)
def test_against_sklearn(classes, n):
    truth, guess = labels(classes, n, seed=classes)
    every = np.arange(classes)
    matrix = confusion_matrix(truth, guess, labels=every)
    m, s = class_metrics(matrix), summary(matrix)
    present = np.isin(every, truth)
    recall = recall_score(truth, guess, labels=every, average=None, zero_division=np.nan)
    np.testing.assert_allclose(m.tpr, recall, atol=1e-15)
    np.testing.assert_allclose(
        m.precision, precision_score(truth, guess, labels=every, average=None, zero_division=np.nan), atol=1e-15
    )
    np.testing.assert_allclose(
        m.f1, f1_score(truth, guess, labels=every, average=None, zero_division=np.nan), atol=1e-15
    )
    assert s.n == n
    assert s.accuracy == pytest.approx(float((truth == guess).mean()), abs=1e-15)
    assert s.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, guess), abs=1e-14)
    assert s.macro_f1 == pytest.approx(f1_score(truth, guess, average="macro"), abs=1e-14)
    assert s.tpr_variance == pytest.approx(float(np.var(recall[present])), abs=1e-15)
    assert (s.tpr_min, s.tpr_max) == (recall[present].min(), recall[present].max())


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_class_absent_from_the_split():
    """Class 3 has no sample but one prediction, class 4 neither: no TPR, and no part in any mean of TPRs."""
    truth, guess = [0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 3]
    matrix = confusion_matrix(truth, guess, labels=range(5))
    m, s = class_metrics(matrix), summary(matrix)
    assert np.isnan(m.tpr).tolist() == [False, False, False, True, True]
    assert m.precision[3] == 0
    assert math.isnan(m.precision[4])
    assert math.isnan(m.f1[4])
    assert s.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, guess))
    assert s.macro_f1 == pytest.approx(f1_score(truth, guess, average="macro", zero_division=0))
    assert (s.tpr_min, s.tpr_max, s.tpr_variance) == (0.5, 1.0, pytest.approx(1 / 18))


def test_top_five():
    rng = np.random.default_rng(0)
    scores, truth = rng.random((500, 10)), rng.integers(0, 10, 500)
    hits = int((np.argsort(-scores, axis=1)[:, :5] == truth[:, None]).any(axis=1).sum())
    matrix = confusion_matrix(truth, scores.argmax(axis=1), labels=range(10))
    assert summary(matrix, top5=hits).top5 == pytest.approx(top_k_accuracy_score(truth, scores, k=5))
    assert summary(matrix).top5 is None


def test_class_rows_say_the_same_as_the_matrix():
    truth, guess = labels(7, 300, seed=1)
    matrix = confusion_matrix(truth, guess, labels=range(7))
    m = class_metrics(matrix)
    assert summary_from_counts(m.tp, m.support, m.predicted) == summary(matrix)
    assert summary_from_counts(m.tp, m.support).macro_f1 is None


def test_empty_split_has_no_figures():
    s = summary(np.zeros((3, 3), dtype=np.int64), top5=0)
    assert s.n == 0
    assert all(math.isnan(v) for v in (s.accuracy, s.tpr_mean, s.tpr_variance, s.tpr_min, s.macro_f1, s.top5))


@pytest.mark.parametrize(
    ("matrix", "word"),
    [(np.ones((2, 3), dtype=int), "square"), (np.ones((2, 2)), "whole-number"), (np.array([[1, -1], [0, 1]]), "-1")],
)
def test_bad_matrix(matrix, word):
    with pytest.raises(EvenlyError, match=word):
        summary(matrix)


def test_impossible_counts():
    with pytest.raises(EvenlyError, match="class 1 has 5 true positives"):
        metrics_from_counts([1, 5], [2, 4], [9, 9])
    with pytest.raises(EvenlyError, match="equally many"):
        metrics_from_counts([1, 1], [2, 4, 5], [9, 9])


Z = float(norm.ppf(0.975))


@settings(max_examples=60)
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_against_scipy(pair):
    tp, n = pair
    expected = binomtest(tp, n).proportion_ci(method="wilson")
    low, high = wilson(tp, n, Z)
    assert float(low) == pytest.approx(expected.low, abs=1e-12)
    assert float(high) == pytest.approx(expected.high, abs=1e-12)


def test_wilson_of_a_vector_and_of_nothing():
    """81/263: the worked example of Newcombe (1998), method 3: .2553 to .3662."""
    low, high = wilson(np.array([81, 0, 10, 0]), np.array([263, 10, 10, 0]))
    assert (round(low[0], 4), round(high[0], 4)) == (0.2553, 0.3662)
    assert (low[1], high[2]) == (0.0, 1.0)
    assert np.isnan([low[3], high[3]]).all()
