"""Everything reported, from integer counts. Confusion matrices are [C, C] with rows for the true class.

A class without samples in the split has no TPR: it is NaN there and left out of every mean, minimum and variance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import EvenlyError

Counts = NDArray[np.int64]  # [C]
Figures = NDArray[np.float64]  # [C]


@dataclass(frozen=True)
class ClassMetrics:
    """Per class, each [C]. tpr is NaN where support is 0, precision where predicted is 0, f1 where both are 0."""

    support: Counts
    tp: Counts
    predicted: Counts
    tpr: Figures
    precision: Figures
    f1: Figures


@dataclass(frozen=True)
class Summary:
    """One split at one epoch. Shares in [0, 1]; NaN where there is no sample.

    balanced_accuracy, tpr_mean  two names of one number: the mean TPR over the classes with samples
    tpr_variance  population variance of the TPRs over the classes with samples
    macro_f1      mean F1 over the classes that are true or predicted for some sample; None without predictions
    top5          share of samples whose class is among the five highest scores; None where not recorded
    """

    n: int
    accuracy: float
    balanced_accuracy: float
    tpr_mean: float
    tpr_variance: float
    tpr_min: float
    tpr_max: float
    macro_f1: float | None = None
    top5: float | None = None

    @property
    def tpr_spread(self) -> float:
        """Population standard deviation of the TPRs, the root of tpr_variance."""
        return math.sqrt(self.tpr_variance)


def _counts(name: str, values: ArrayLike) -> Counts:
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise EvenlyError(f"{name} must be whole-number counts, got {array.dtype}")
    if array.size and array.min() < 0:
        raise EvenlyError(f"{name} holds {array.min()}, expected counts of at least 0")
    return array.astype(np.int64)


def share(part: ArrayLike, whole: ArrayLike) -> NDArray[np.float64]:
    """part / whole elementwise; NaN where whole is 0."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)


def rows_of(confusion: ArrayLike) -> tuple[Counts, Counts, Counts]:
    """(support, tp, predicted), each [C], of a confusion matrix [C, C]; another shape raises EvenlyError."""
    matrix = _counts("a confusion matrix", confusion)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise EvenlyError(f"a confusion matrix must be square, got shape {matrix.shape}")
    return matrix.sum(axis=1), np.diagonal(matrix).copy(), matrix.sum(axis=0)


def metrics_from_counts(tp: ArrayLike, support: ArrayLike, predicted: ArrayLike) -> ClassMetrics:
    """TPR = tp / support, precision = tp / predicted, F1 = 2 tp / (support + predicted). All [C], whole numbers."""
    tp, support, predicted = _counts("tp", tp), _counts("support", support), _counts("predicted", predicted)
    if not tp.shape == support.shape == predicted.shape:
        raise EvenlyError(
            f"tp, support and predicted have {tp.size}, {support.size} and {predicted.size} values, expected equally many"
        )
    if (tp > np.minimum(support, predicted)).any():
        c = int(np.argmax(tp > np.minimum(support, predicted)))
        raise EvenlyError(
            f"class {c} has {tp[c]} true positives, more than its support {support[c]} or its predictions {predicted[c]}"
        )
    return ClassMetrics(
        support, tp, predicted, share(tp, support), share(tp, predicted), share(2 * tp, support + predicted)
    )


def summary_from_counts(
    tp: ArrayLike, support: ArrayLike, predicted: ArrayLike | None = None, top5: int | None = None
) -> Summary:
    """The summary from class rows [C]; `top5` is the number of samples whose class was among the five highest scores."""
    tp, support = _counts("tp", tp), _counts("support", support)
    n = int(support.sum())
    tpr = share(tp, support)[support > 0]
    macro_f1 = None
    if predicted is not None:
        f1 = metrics_from_counts(tp, support, predicted).f1
        macro_f1 = float(np.nanmean(f1)) if n else np.nan
    if not n:
        return Summary(0, *[np.nan] * 6, macro_f1, None if top5 is None else np.nan)
    mean = float(tpr.mean())
    return Summary(
        n,
        float(tp.sum() / n),
        mean,
        mean,
        float(tpr.var()),
        float(tpr.min()),
        float(tpr.max()),
        macro_f1,
        None if top5 is None else top5 / n,
    )
