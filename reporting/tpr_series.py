"""One side of a chart: the TPRs of a run, or their means over seeds. Needs no Streamlit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.comparison.compare import Comparison
from core.comparison.seed_statistics import OverSeeds

Vector = NDArray[np.float64]  # [C]


@dataclass(frozen=True)
class ChartSide:
    """TPRs [C] of a run or of means over seeds, in 0..1 (NaN if the split has no sample), with limits.

    low, high  95 % limits of a run's TPRs; over seeds the smallest and the largest
    each       the TPRs of every seed [S, C], if `tpr` is their mean
    over       the mean of the seeds' spreads; the spread of the mean TPRs would be smaller, as seeds average out
    weighted   a run with class weights: alone in a chart it is drawn in the style of "after"
    """

    label: str
    tpr: Vector
    low: Vector
    high: Vector
    each: NDArray[np.float64] | None = None
    over: float | None = None
    weighted: bool = False

    @property
    def mean(self) -> float:
        return float(np.nanmean(self.tpr))

    @property
    def sd(self) -> float:
        """Population standard deviation of the TPRs: the spread."""
        return float(np.nanstd(self.tpr)) if self.over is None else self.over


def sides_of_pair(c: Comparison) -> tuple[ChartSide, ChartSide]:
    """Both sides of a TPR chart: the two runs, with the numbers of the comparison."""
    b = np.array([(r.before, r.before_low, r.before_high) for r in c.rows]).T
    a = np.array([(r.after, r.after_low, r.after_high) for r in c.rows]).T
    return ChartSide(f"before ({c.before})", *b), ChartSide(f"after ({c.after})", *a)


def sides_of_seeds(over: OverSeeds) -> tuple[ChartSide, ChartSide]:
    """Both sides of a TPR chart: the means over seeds, with the TPRs of each seed."""
    spread = over.figures["tpr_spread"]
    return (
        _mean("before", np.array([r.each_before for r in over.rows]).T, spread.before),
        _mean("after", np.array([r.each_after for r in over.rows]).T, spread.after),
    )


def _mean(name: str, each: NDArray[np.float64], spread: float) -> ChartSide:
    return ChartSide(f"{name}, {len(each)} seeds", each.mean(0), each.min(0), each.max(0), each, spread)


def chart_sides(c: Comparison, averaged: bool = True) -> tuple[ChartSide, ChartSide]:
    """Both sides of a comparison's TPR chart: the means over seeds if there are any and `averaged`, else the two runs."""
    return (
        sides_of_seeds(c.over_seeds)
        if averaged and c.over_seeds is not None and c.over_seeds.rows
        else sides_of_pair(c)
    )
