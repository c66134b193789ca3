"""Confidence intervals: for a difference of proportions, for resampled test counts, for seeds."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.metrics.classification import share

Floats = NDArray[np.float64]

Z95 = 1.959963984540054  # 97.5 % quantile of the normal distribution
FIGURES = ("accuracy", "balanced_accuracy", "tpr_variance", "tpr_spread", "tpr_min")  # order of the columns below
REDRAWS = 20_240_101  # seed of the resampling: two runs get the same figures on every page and in every command
CELLS = 200_000  # resampled counts per side at most


def wilson(tp: ArrayLike, support: ArrayLike, z: float = Z95) -> tuple[Floats, Floats]:
    """(low, high) of the Wilson score interval of tp / support, elementwise; NaN where support is 0. 95 % by default.

    center (p + z^2/2n) / (1 + z^2/n), half width z sqrt(p(1-p)/n + z^2/4n^2) / (1 + z^2/n). Source: Wilson (1927).
    """
    n = np.asarray(support, dtype=np.float64)
    p = share(tp, n)
    safe = np.where(n > 0, n, np.nan)
    scale = 1 + z * z / safe
    center = (p + z * z / (2 * safe)) / scale
    half = z * np.sqrt(p * (1 - p) / safe + z * z / (4 * safe * safe)) / scale
    low = np.where(p == 0, 0.0, center - half)  # exactly 0 and 1 at the ends, despite rounding
    high = np.where(p == 1, 1.0, center + half)
    return low, high


def t95(freedom: int) -> float:
    """97.5 % quantile of Student's t with this many degrees of freedom, at least 1."""
    from scipy.special import stdtrit  # takes 0.2 s to import, and most pages do not need it

    return float(stdtrit(freedom, 0.975))


def mean_interval(values: Floats) -> tuple[float, float, float]:
    """(mean, low, high): 95 % t interval of the mean of at least two values."""
    mean = float(values.mean())
    half = t95(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def welch_interval(before: Floats, after: Floats) -> tuple[float, float, float]:
    """(change, low, high): 95 % interval of the difference of two means of at least two values each, independent of each other.

    Welch (1947): se^2 = s_b^2/n_b + s_a^2/n_a, degrees of freedom by Welch and Satterthwaite, rounded down.
    """
    parts = [float(v.var(ddof=1)) / len(v) for v in (before, after)]
    change, se2 = float(after.mean() - before.mean()), sum(parts)
    if not se2 > 0:  # no variance, or a class without samples
        return change, change, change
    freedom = se2**2 / sum(p**2 / (len(v) - 1) for p, v in zip(parts, (before, after), strict=True))
    half = t95(max(int(freedom + 1e-9), 1)) * math.sqrt(se2)
    return change, change - half, change + half


def newcombe(tp_before: Floats, n_before: Floats, tp_after: Floats, n_after: Floats) -> tuple[Floats, Floats]:
    """(low, high) of the 95 % interval of after - before, elementwise [C], as if the two samples were independent.

    Two runs are tested on the same images, so their counts are not independent and the interval is usually too wide. McNemar's
    test would use the pairs; it needs every sample's prediction, which is not stored.
    Newcombe (1998), method 10: the Wilson limits of both shares, combined. NaN where a side has no sample.
    """
    b, a = share(tp_before, n_before), share(tp_after, n_after)
    (bl, bh), (al, ah) = wilson(tp_before, n_before), wilson(tp_after, n_after)
    return a - b - np.hypot(a - al, bh - b), a - b + np.hypot(ah - a, b - bl)


def figures(tp: Floats, support: Floats) -> Floats:
    """[..., 5] in the order of FIGURES from true positives [..., C] and supports [C], all above 0."""
    tpr = tp / support
    variance = tpr.var(axis=-1)
    return np.stack(
        [tp.sum(axis=-1) / support.sum(), tpr.mean(axis=-1), variance, np.sqrt(variance), tpr.min(axis=-1)], axis=-1
    )


def resampled(tp: Floats, support: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Errors of the figures [draws, 5]: figures of resampled test counts minus those of the distribution sampled from.

    Each class's true positives are sampled from Binomial(n, (tp + .5) / (n + 1)); the half sample keeps classes with
    none or all correct from having no variance.
    """
    center = (tp + 0.5) / (support + 1)
    # class by class: numpy sets up each (n, p) once for all its draws
    drawn = rng.binomial(support.astype(np.int64)[:, None], center[:, None], size=(len(tp), draws))
    return figures(np.ascontiguousarray(drawn.T), support) - figures(center * support, support)


def sampling_intervals(
    tp_before: Floats,
    n_before: Floats,
    tp_after: Floats,
    n_after: Floats,
    rng: np.random.Generator,
    draws: int = 2000,
) -> tuple[Floats, Floats, int]:
    """(low [5], high [5], draws used): 95 % intervals of the changes of FIGURES under resampled test counts.

    Parametric bootstrap, basic interval: change - quantiles of the error, which removes the bias that noise adds to
    a variance and a minimum. Both sides are resampled independently; two runs share the same test set, so
    the intervals are usually too wide. Classes without samples on either side are left out.
    """
    keep = (n_before > 0) & (n_after > 0)
    tp_before, n_before, tp_after, n_after = tp_before[keep], n_before[keep], tp_after[keep], n_after[keep]
    draws = max(200, min(draws, CELLS // max(len(tp_before), 1)))
    error = resampled(tp_after, n_after, draws, rng) - resampled(tp_before, n_before, draws, rng)
    change = figures(tp_after, n_after) - figures(tp_before, n_before)
    low, high = np.quantile(error, [0.025, 0.975], axis=0)
    return change - high, change - low, draws
