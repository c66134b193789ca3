"""The numbers of a report: integer counts of one split, the metrics and measures computed from them, the rows of its classes.

Also the rows of two runs and of means over seeds. As text they are in reporting.tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.comparison.seed_statistics import OverSeeds
from core.experiment.config import NO_CONFIG, RunConfig
from core.experiment.facts import NOT_STARTED, Facts
from core.metrics import readings as measured
from core.metrics.classification import ClassMetrics, Counts, Summary, metrics_from_counts, summary_from_counts
from core.metrics.intervals import wilson
from core.metrics.readings import Change, MeasuredSplit, Reading, Score, readings

Row = dict[str, Any]  # one line of a table: column -> number, text or None


class ReportedRun(Protocol):
    """A run whose settings are shown: a `RunReport` or a row of the database."""

    @property
    def config(self) -> RunConfig: ...
    @property
    def facts(self) -> Facts: ...
    @property
    def baseline_id(self) -> int | None: ...


class StoredRun(ReportedRun, Protocol):
    """A row of the database, as far as reporting reads it."""

    @property
    def method(self) -> str: ...


@dataclass(frozen=True)
class RunReport:
    """The content of an export of one run: integer counts [C] of one split at one epoch, and the settings.

    baseline_id  the run whose TPRs or network it takes; None without one
    top5         samples whose class was among the five highest scores; None if not counted
    ece          expected calibration error of the split; None if not recorded
    score        alpha and positive class of the weighted score of two classes; None: the defaults of `core.metrics.readings.Score`
    """

    id: int
    name: str
    split: str
    epoch: int
    classes: Sequence[str]
    support: Counts
    tp: Counts
    predicted: Counts
    weight: NDArray[np.float64] | None = None
    config: RunConfig = NO_CONFIG
    facts: Facts = NOT_STARTED
    baseline_id: int | None = None
    top5: int | None = None
    ece: float | None = None
    score: Score | None = None

    @cached_property
    def metrics(self) -> ClassMetrics:
        """TPR, precision and F1 per class [C]; NaN where undefined."""
        return metrics_from_counts(self.tp, self.support, self.predicted)

    @cached_property
    def summary(self) -> Summary:
        """The metrics of the whole split."""
        return summary_from_counts(self.tp, self.support, self.predicted, self.top5)

    @cached_property
    def measured(self) -> MeasuredSplit:
        """The run's split, as the measures take it."""
        return MeasuredSplit(self.metrics, self.classes, self.facts.training_counts, self.ece)

    @cached_property
    def measures(self) -> tuple[Reading, ...]:
        """Its measures for imbalanced classes, in order."""
        return readings(self.measured, self.score)


def class_rows(run: RunReport) -> list[Row]:
    """The rows of a run's report as numbers, one per class: counts, TPR with its 95 % Wilson interval, precision, F1, weight."""
    m, (low, high) = run.metrics, wilson(run.tp, run.support)
    return [
        {
            "class": name,
            "support": int(m.support[c]),
            "true_positives": int(m.tp[c]),
            "predicted": int(m.predicted[c]),
            "tpr": float(m.tpr[c]),
            "tpr_low": float(low[c]),
            "tpr_high": float(high[c]),
            "precision": float(m.precision[c]),
            "f1": float(m.f1[c]),
            "weight": None if run.weight is None else float(run.weight[c]),
        }
        for c, name in enumerate(run.classes)
    ]


def pair_rows(before: RunReport, after: RunReport) -> list[Row]:
    """The rows of a report on two runs as numbers, one per class: TPRs, their intervals and the change, precision and F1."""
    (bl, bh), (al, ah) = wilson(before.tp, before.support), wilson(after.tp, after.support)
    b, a = before.metrics, after.metrics
    return [
        {
            "class": name,
            "support_before": int(b.support[c]),
            "support_after": int(a.support[c]),
            "tpr_before": float(b.tpr[c]),
            "before_low": float(bl[c]),
            "before_high": float(bh[c]),
            "tpr_after": float(a.tpr[c]),
            "after_low": float(al[c]),
            "after_high": float(ah[c]),
            "change": float(a.tpr[c] - b.tpr[c]),
            "precision_before": float(b.precision[c]),
            "precision_after": float(a.precision[c]),
            "f1_before": float(b.f1[c]),
            "f1_after": float(a.f1[c]),
            "weight_after": None if after.weight is None else float(after.weight[c]),
        }
        for c, name in enumerate(before.classes)
    ]


def pair_measures(before: RunReport, after: RunReport) -> tuple[Change, ...]:
    """The measures of a report on two runs on the same classes, in order; the weighted score with the settings of `after`."""
    return measured.changes(before.measured, after.measured, after.score)


def seed_rows(over: OverSeeds | None) -> list[Row]:
    """The rows of a report on means over seeds as numbers, one per class: the means and the mean change with its 95 %
    interval; empty without means."""
    return (
        []
        if over is None
        else [
            {
                "mean_before": r.before,
                "mean_after": r.after,
                "mean_change": r.gain,
                "mean_change_low": r.gain_low,
                "mean_change_high": r.gain_high,
                "mean_precision_before": r.precision_before,
                "mean_precision_after": r.precision_after,
                "mean_f1_before": r.f1_before,
                "mean_f1_after": r.f1_after,
            }
            for r in over.rows
        ]
    )
