"""Measures of one split of a run, in order: every row of MEASURES, the weighted score of two classes, groups of classes, calibration.

The pages, the command line and the exports show these readings, of one run or of two side by side; `reporting.readings_text` has their
labels and says what they mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import EvenlyError
from core.metrics.classification import ClassMetrics
from core.metrics.scalar import MEASURES, group_tpr, halves, minority_class, shots, uneven, weighted

HALF = 0.5  # default alpha, at which the weighted score is balanced accuracy
WEIGHTED, ECE, WORST = "weighted_score", "ece", "worst_class"
SHARE, ERROR, VARIANCE = "share", "error", "variance"  # kind of a value, which decides its format
UNITS = {"tpr_variance": VARIANCE, ECE: ERROR}  # the rest are shares


@dataclass(frozen=True, eq=False)
class MeasuredSplit:
    """Input of the measures: one split of a run.

    counts  [C] training samples per class, None where unknown: there are no groups then
    ece     expected calibration error of the split, None where it was not recorded
    """

    metrics: ClassMetrics
    classes: Sequence[str]
    counts: NDArray[np.int64] | None = None
    ece: float | None = None


@dataclass(frozen=True)
class Score:
    """Parameters of the weighted score of two classes; the positive class defaults to the one with the fewest training samples."""

    alpha: float = HALF
    positive: int | None = None


@dataclass(frozen=True)
class Reading:
    """One measure of one run. `value` is NaN where undefined.

    classes  number of classes that a group's mean is over; None elsewhere
    of       the class that the value is for: the worst or the positive one; "" elsewhere
    alpha    of the weighted score; None elsewhere
    negative the other class of the weighted score, whose TPR is the TNR; "" elsewhere
    """

    key: str
    value: float
    classes: int | None = None
    of: str = ""
    alpha: float | None = None
    negative: str = ""

    @property
    def unit(self) -> str:
        return UNITS.get(self.key, SHARE)


@dataclass(frozen=True)
class Change:
    """One measure of two runs. NaN on a side where it is undefined or was not recorded; the change is NaN then.

    of_before, of_after  the class that the value is for on each side; see `Reading.of`
    """

    key: str
    before: float
    after: float
    classes: int | None = None
    of_before: str = ""
    of_after: str = ""
    alpha: float | None = None
    negative: str = ""

    @property
    def change(self) -> float:
        return self.after - self.before

    @property
    def unit(self) -> str:
        return UNITS.get(self.key, SHARE)


# ---------------------------------------------------------------- readings


def readings(split: MeasuredSplit, score: Score | None = None) -> tuple[Reading, ...]:
    """Every measure of a split in order. Groups only where the training counts are not balanced, the weighted score only for two classes.

    Two classes are not grouped: each would be its own group. Empty groups, and one that holds all classes (its mean is
    balanced accuracy), are left out; so is an ECE that was not recorded.
    A `score` for other than two classes raises EvenlyError.
    """
    m = split.metrics
    found = [Reading(row.key, row.compute(m), of=_worst(split) if row.key == WORST else "") for row in MEASURES]
    if len(split.classes) == 2 or score is not None:
        found.append(_weighted(split, score or Score()))
    found += _groups(split)
    if split.ece is not None:
        found.append(Reading(ECE, float(split.ece)))
    return tuple(found)


def _worst(split: MeasuredSplit) -> str:
    """The class with the smallest TPR, the first of equals; "" without samples."""
    tpr = split.metrics.tpr
    return "" if np.isnan(tpr).all() else split.classes[int(np.nanargmin(tpr))]


def _weighted(split: MeasuredSplit, score: Score) -> Reading:
    positive = positive_class(split.counts) if score.positive is None else score.positive
    value = float(weighted(split.metrics.tpr, score.alpha, positive))
    return Reading(WEIGHTED, value, of=split.classes[positive], alpha=score.alpha, negative=split.classes[1 - positive])


def positive_class(counts: NDArray[np.int64] | None) -> int:
    """The default positive class of two: the one with the fewest training samples; the second where the counts are unknown."""
    return 1 if counts is None else minority_class(counts)


def _groups(split: MeasuredSplit) -> list[Reading]:
    if split.counts is None or len(split.counts) < 3 or not uneven(split.counts):
        return []
    measured = int((split.metrics.support > 0).sum())
    found = group_tpr(split.metrics, {**shots(split.counts), **halves(split.counts)})
    return [Reading(key, mean, n) for key, (n, mean) in found.items() if n < measured]


# ---------------------------------------------------------------- two runs


def grouping(before: NDArray[np.int64] | None, after: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    """The training counts that group the classes of two runs, the same on both sides: after's, or before's where only those are uneven."""
    known = [n for n in (after, before) if n is not None]
    return next((n for n in known if uneven(n)), known[0] if known else None)


def changes(before: MeasuredSplit, after: MeasuredSplit, score: Score | None = None) -> tuple[Change, ...]:
    """The readings of two runs side by side, in order. Their classes are grouped by one side's training counts; see `grouping`."""
    counts = grouping(before.counts, after.counts)
    b, a = (
        {r.key: r for r in readings(MeasuredSplit(s.metrics, s.classes, counts, s.ece), score)} for s in (before, after)
    )
    return tuple(_change(b.get(key), a.get(key)) for key in {**a, **b})


def _change(before: Reading | None, after: Reading | None) -> Change:
    """One measure; NaN on a side where it is missing."""
    known = next(r for r in (after, before) if r is not None)
    value, of = (
        [getattr(r, name) if r is not None else missing for r in (before, after)]
        for name, missing in (("value", math.nan), ("of", ""))
    )
    return Change(known.key, *value, known.classes, *of, known.alpha, known.negative)


def weighted_change(
    classes: Sequence[str], before: Sequence[float], after: Sequence[float], alpha: float, positive: int
) -> Change:
    """The weighted score of two sides from their TPRs [2]; other than two classes raises EvenlyError."""
    b, a = (float(weighted(tpr, alpha, positive)) for tpr in (before, after))
    of = classes[positive]
    return Change(WEIGHTED, b, a, None, of, of, alpha, classes[1 - positive])


def score_for(classes: Sequence[str], alpha: float | None, positive: str | None) -> Score | None:
    """The Score for these options; None where neither is given. Other than two classes, or an unknown class, raises EvenlyError."""
    if alpha is None and positive is None:
        return None
    if len(classes) != 2:
        raise EvenlyError(
            f"the weighted score is for 2 classes, this task has {len(classes)}; leave out --alpha and --positive, "
            "and use balanced accuracy"
        )
    if positive is not None and positive not in classes:
        raise EvenlyError(f"the positive class is {positive!r}, expected {classes[0]!r} or {classes[1]!r}")
    return Score(HALF if alpha is None else alpha, None if positive is None else list(classes).index(positive))
