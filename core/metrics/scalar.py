"""Measures for unequal classes, as rows: each one figure of a split, from its integer counts.

Also measures that need more than the counts: groups of classes by training samples, and calibration. `core.metrics.readings`
combines them in the order shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import EvenlyError
from core.metrics.classification import ClassMetrics, share
from core.registry import Registry, Source

MANY_SHOT, FEW_SHOT = 100, 20  # training samples: many above 100, few below 20, as in the long-tail papers
EVEN = 1.5  # largest over smallest class: up to this ratio a training split counts as balanced, as MNIST (1.24) does


@dataclass(frozen=True)
class Measure:
    """One figure of a split. `compute` takes its per-class metrics; classes without samples are left out, NaN where none is left."""

    key: str
    label: str
    compute: Callable[[ClassMetrics], float]
    formula: str
    summary: str
    source: Source


def _over(values: NDArray[np.float64], reduce: Callable[[NDArray[np.float64]], float]) -> float:
    defined = values[~np.isnan(values)]
    return float(reduce(defined)) if len(defined) else np.nan


def accuracy(m: ClassMetrics) -> float:
    """Correct samples over all samples."""
    return float(share(m.tp.sum(), m.support.sum()))


def balanced_accuracy(m: ClassMetrics) -> float:
    """Mean TPR, which is also the macro recall."""
    return _over(m.tpr, np.mean)


def g_mean(m: ClassMetrics) -> float:
    """Geometric mean of the TPRs; 0 if any class is never predicted correctly."""
    return _over(m.tpr, lambda t: 0.0 if (t == 0).any() else np.exp(np.log(t).mean()))


def macro_precision(m: ClassMetrics) -> float:
    """Mean precision over the classes with samples; one that is never predicted counts 0, as in scikit-learn."""
    return _over(np.where(m.predicted > 0, m.precision, 0.0)[m.support > 0], np.mean)


def macro_f1(m: ClassMetrics) -> float:
    """Mean F1 over the classes that are true or predicted for some sample."""
    return _over(m.f1, np.mean)


def worst_class(m: ClassMetrics) -> float:
    """Smallest TPR."""
    return _over(m.tpr, np.min)


def tpr_variance(m: ClassMetrics) -> float:
    """Population variance of the TPRs."""
    return _over(m.tpr, np.var)


_SOKOLOVA = Source(
    "Sokolova and Lapalme", 2009, "A systematic analysis of performance measures for classification tasks"
)
_KUBAT = Source("Kubat and Matwin", 1997, "Addressing the curse of imbalanced training sets: one-sided selection")
_OURS = Source("Evenly", 2026, "the population variance, taken over the classes")
_BRODERSEN = Source("Brodersen, Ong, Stephan and Buhmann", 2010, "The balanced accuracy and its posterior distribution")

MEASURES = Registry(
    "measure",
    Measure(
        key="accuracy",
        label="Accuracy",
        compute=accuracy,
        formula=r"\frac{\sum_c \mathrm{TP}_c}{N}",
        summary="Share of all samples that are classified correctly: frequent classes dominate it.",
        source=_SOKOLOVA,
    ),
    Measure(
        key="balanced_accuracy",
        label="Balanced accuracy",
        compute=balanced_accuracy,
        formula=r"\frac{1}{C}\sum_c \mathrm{TPR}_c",
        summary="Mean TPR, the same as macro recall: every class counts the same.",
        source=_BRODERSEN,
    ),
    Measure(
        key="g_mean",
        label="G-mean",
        compute=g_mean,
        formula=r"\left(\prod_c \mathrm{TPR}_c\right)^{1/C}",
        summary="Geometric mean of the TPRs: 0 if any class is never predicted correctly.",
        source=_KUBAT,
    ),
    Measure(
        key="macro_precision",
        label="Macro precision",
        compute=macro_precision,
        formula=r"\frac{1}{C}\sum_c \frac{\mathrm{TP}_c}{\mathrm{predicted}_c}",
        summary="Mean precision: raising a class's TPR by predicting it more often lowers this.",
        source=_SOKOLOVA,
    ),
    Measure(
        key="macro_f1",
        label="Macro F1",
        compute=macro_f1,
        formula=r"\frac{1}{C}\sum_c \frac{2\,\mathrm{TP}_c}{n_c + \mathrm{predicted}_c}",
        summary="Mean F1 of the classes.",
        source=_SOKOLOVA,
    ),
    Measure(
        key="worst_class",
        label="Worst class",
        compute=worst_class,
        formula=r"\min_c \mathrm{TPR}_c",
        summary="TPR of the class with the lowest TPR.",
        source=_SOKOLOVA,
    ),
    Measure(
        key="tpr_variance",
        label="TPR variance",
        compute=tpr_variance,
        formula=r"\frac{1}{C}\sum_c (\mathrm{TPR}_c - \overline{\mathrm{TPR}})^2",
        summary="How unequal the TPRs of the classes are.",
        source=_OURS,
    ),
)


def weighted(tpr: ArrayLike, alpha: float, positive: int) -> NDArray[np.float64]:
    """alpha TPR + (1 - alpha) TNR from the TPRs [2] or [2, runs] of a two-class task: a number, or one per run.

    `positive` (0 or 1) is the class that the TPR is of; the other's TPR is the TNR. NaN where a class has no samples.
    More classes, alpha outside [0, 1] or another class: EvenlyError.
    """
    tpr = np.asarray(tpr, dtype=np.float64)
    if len(tpr) != 2:
        raise EvenlyError(f"the weighted score is for 2 classes, this task has {len(tpr)}; use balanced accuracy")
    if not 0 <= alpha <= 1:
        raise EvenlyError(f"alpha is {alpha!r}, expected a number from 0 to 1")
    if positive not in (0, 1):
        raise EvenlyError(f"the positive class is {positive!r}, expected 0 or 1")
    return alpha * tpr[positive] + (1 - alpha) * tpr[1 - positive]


def weighted_score(m: ClassMetrics, alpha: float, positive: int = 1) -> float:
    """`weighted` of one run's metrics; alpha 1/2 is balanced accuracy."""
    return float(weighted(m.tpr, alpha, positive))


def minority_class(counts: ArrayLike) -> int:
    """The class with the fewest training samples, the first of equals among classes that have any."""
    n = np.asarray(counts, dtype=np.float64)
    return int(np.argmin(np.where(n > 0, n, np.inf)))


def uneven(counts: ArrayLike) -> bool:
    """Whether training counts [C] are not balanced: the largest class has more than EVEN times the samples of the smallest."""
    n = np.asarray(counts, dtype=np.float64)
    return bool(n.max() > EVEN * n.min())


def shots(counts: ArrayLike) -> dict[str, NDArray[np.bool_]]:
    """Masks [C] of classes with many (> 100), medium and few (< 20) training samples. Source: Liu et al. (2019)."""
    n = np.asarray(counts)
    return {"many": n > MANY_SHOT, "medium": (n <= MANY_SHOT) & (n >= FEW_SHOT), "few": n < FEW_SHOT}


def halves(counts: ArrayLike) -> dict[str, NDArray[np.bool_]]:
    """Masks [C] of majority classes (at least the mean count) and minority classes (below it)."""
    n = np.asarray(counts, dtype=np.float64)
    return {"majority": n >= n.mean(), "minority": n < n.mean()}


def group_tpr(m: ClassMetrics, groups: dict[str, NDArray[np.bool_]]) -> dict[str, tuple[int, float]]:
    """Group -> (classes with samples in it, their mean TPR). Groups without such a class are left out."""
    out = {}
    for name, mask in groups.items():
        tpr = m.tpr[mask & ~np.isnan(m.tpr)]
        if len(tpr):
            out[name] = (len(tpr), float(tpr.mean()))
    return out


def ece(calibration: ArrayLike) -> float:
    """Expected calibration error: sum_b n_b / N |hits_b / n_b - confidence_b / n_b|. NaN without samples.

    calibration [3, bins]: samples, hits and the sum of the confidences in equal bins of the confidence.
    Source: Naeini et al. (2015); 15 bins as in Guo et al. (2017).
    """
    n, hits, confidence = np.asarray(calibration, dtype=np.float64)
    return float(np.abs(hits - confidence).sum() / n.sum()) if n.sum() else np.nan
