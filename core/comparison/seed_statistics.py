"""Two sides of a comparison over their seeds: means, values of each seed, and the interval of the change.

Seeds at which both sides have runs that are pairs (`core.comparison.pairing`) are paired: the interval is that of the mean difference.
Without enough of them the two groups are treated as independent (Welch). One seed per side is too few.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from core.comparison.pairing import Replicate
from core.metrics.classification import Counts, share
from core.metrics.intervals import FIGURES, mean_interval, welch_interval
from core.metrics.readings import WEIGHTED, MeasuredSplit, readings
from core.metrics.scalar import weighted

Floats = NDArray[np.float64]
Interval = Callable[[Floats, Floats], tuple[float, float, float]]
MORE = ("tpr_max", "macro_f1", "top5")  # figures reported over seeds beside FIGURES


@dataclass(frozen=True)
class SeedChange:
    """A figure over the seeds: both means, both standard deviations (n - 1), and the mean change with its 95 % t interval."""

    before: float
    before_sd: float
    after: float
    after_sd: float
    change: float
    low: float
    high: float

    @property
    def beyond(self) -> bool:
        """The interval excludes 0: the change exceeds seed noise."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, kw_only=True)
class ClassChange:
    """A class before and after: TPRs, the gain with its 95 % limits (shares, NaN if undefined), precision and F1 (NaN where undefined)."""

    name: str
    support: int
    before: float
    after: float
    gain: float
    gain_low: float
    gain_high: float
    beyond: bool
    precision_before: float
    precision_after: float
    f1_before: float
    f1_after: float


@dataclass(frozen=True, kw_only=True)
class SeedRow(ClassChange):
    """A class over the seeds: mean TPRs, the TPR of each seed, and the mean gain with its 95 % t interval.

    precision_*, f1_*  means over the seeds at which they are defined
    beyond             the interval excludes 0 and the gain is more than one test sample: with few seeds the interval may have no width
    """

    each_before: tuple[float, ...]
    each_after: tuple[float, ...]


@dataclass(frozen=True)
class OverSeeds:
    """A comparison of means.

    `before` and `after` are the seeds used, `runs_*` their runs in this order; `figures` by name of FIGURES and MORE.
    A figure of MORE is included if every run has it: top-5 accuracy needs more than five classes. The same holds for
    `measures`, by key of `core.metrics.readings`.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    paired: bool
    figures: Mapping[str, SeedChange]
    rows: tuple[SeedRow, ...]
    runs_before: tuple[int, ...] = ()
    runs_after: tuple[int, ...] = ()
    measures: Mapping[str, SeedChange] = field(default_factory=dict)

    @property
    def fewest(self) -> int:
        """Seeds of the side that has fewer."""
        return min(len(self.before), len(self.after))


def over_seeds(
    names: Sequence[str],
    support: Counts,
    before: Mapping[int, Replicate],
    after: Mapping[int, Replicate],
    paired: bool,
    counts: Counts | None = None,
) -> OverSeeds:
    """The comparison of means of Replicates by seed; `paired` uses the seeds that both sides have, else all. Needs two per side.

    `core.comparison.pairing.choose` decides which runs of one seed may be paired.
    `counts` [C] are the training samples that group the classes.
    """
    common = sorted(before.keys() & after.keys())
    b_seeds, a_seeds = (common, common) if paired else (sorted(before), sorted(after))
    b, a = [before[s] for s in b_seeds], [after[s] for s in a_seeds]
    interval = _interval(paired)
    columns = {name: tuple(np.array([r.figure(name) for r in side]) for side in (b, a)) for name in (*FIGURES, *MORE)}
    figures = {
        name: _change(x, y, interval)
        for name, (x, y) in columns.items()
        if name in FIGURES or not np.isnan([*x, *y]).any()
    }
    alike = all(len(r.tpr) == len(names) for r in (*b, *a))  # a folder may have had other classes earlier
    rows, measures = (
        (_rows(names, support, b, a, interval), _measures(names, counts, b, a, interval)) if alike else ((), {})
    )
    return OverSeeds(
        tuple(b_seeds),
        tuple(a_seeds),
        paired,
        figures,
        rows,
        tuple(r.run for r in b),
        tuple(r.run for r in a),
        measures,
    )


def _interval(paired: bool) -> Interval:
    return _paired if paired else welch_interval


def _measures(
    names: Sequence[str],
    counts: Counts | None,
    before: Sequence[Replicate],
    after: Sequence[Replicate],
    interval: Interval,
) -> dict[str, SeedChange]:
    """Every reading that all runs have, over the seeds."""
    sides = [
        [{r.key: r.value for r in readings(MeasuredSplit(run.metrics, names, counts, run.ece))} for run in side]
        for side in (before, after)
    ]
    found = {}
    for key in sides[0][0]:
        columns = [np.array([run.get(key, np.nan) for run in side]) for side in sides]
        if not any(np.isnan(column).any() for column in columns):
            found[key] = _change(*columns, interval)
    return found


def weighed(over: OverSeeds, alpha: float, positive: int) -> OverSeeds:
    """A comparison over seeds with the weighted score of this alpha and positive class; two classes, else EvenlyError."""
    if not over.rows:
        return over
    columns = [
        weighted([getattr(row, name) for row in over.rows], alpha, positive) for name in ("each_before", "each_after")
    ]
    if any(np.isnan(column).any() for column in columns):
        return over
    return replace(over, measures={**over.measures, WEIGHTED: _change(*columns, _interval(over.paired))})


def _paired(before: Floats, after: Floats) -> tuple[float, float, float]:
    return mean_interval(after - before)


def _change(before: Floats, after: Floats, interval: Interval) -> SeedChange:
    b, a = (float(v.mean()) for v in (before, after))
    return SeedChange(b, float(before.std(ddof=1)), a, float(after.std(ddof=1)), *interval(before, after))


def _rows(
    names: Sequence[str],
    support: NDArray[np.int64],
    before: Sequence[Replicate],
    after: Sequence[Replicate],
    interval: Interval,
) -> tuple[SeedRow, ...]:
    """One row per class."""
    tpr_before, tpr_after = (np.array([r.tpr for r in side]) for side in (before, after))
    means = {
        f"{name}_{when}": _defined(np.array([getattr(r.metrics, name) for r in side]))
        for name in ("precision", "f1")
        for when, side in (("before", before), ("after", after))
    }
    return tuple(
        _row(name, n, tpr_before[:, c], tpr_after[:, c], interval, {key: float(mean[c]) for key, mean in means.items()})
        for c, (name, n) in enumerate(zip(names, map(int, support), strict=True))
    )


def _row(
    name: str, support: int, before: Floats, after: Floats, interval: Interval, means: Mapping[str, float]
) -> SeedRow:
    """A class with its TPRs [S] of each side; `means`: its mean precision and F1, by name of the field."""
    gain, low, high = interval(before, after)
    beyond = (low > 0 or high < 0) and abs(gain) * support > 1
    return SeedRow(
        name=name,
        support=support,
        before=float(before.mean()),
        after=float(after.mean()),
        gain=gain,
        gain_low=low,
        gain_high=high,
        beyond=bool(beyond),
        each_before=tuple(map(float, before)),
        each_after=tuple(map(float, after)),
        **means,
    )


def _defined(values: Floats) -> Floats:
    """Means [C] of the defined values of [S, C] over the seeds; NaN where none is defined."""
    known = ~np.isnan(values)
    return share(np.where(known, values, 0).sum(0), known.sum(0))
