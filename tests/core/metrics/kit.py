"""What the tests ask of a whole confusion matrix [C, C], rows the true class; the program keeps and asks its rows."""

from __future__ import annotations

from core.metrics.classification import ClassMetrics, Summary, metrics_from_counts, rows_of, summary_from_counts


def class_metrics(confusion) -> ClassMetrics:
    support, tp, predicted = rows_of(confusion)
    return metrics_from_counts(tp, support, predicted)


def summary(confusion, top5: int | None = None) -> Summary:
    support, tp, predicted = rows_of(confusion)
    return summary_from_counts(tp, support, predicted, top5)
