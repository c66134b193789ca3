"""The tables of a run and of a comparison as text: (label, value) rows for pages, reports and the command line."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.comparison.seed_statistics import OverSeeds
from core.metrics import readings as measured
from core.metrics.classification import Summary
from core.metrics.readings import Change
from reporting import numbers, readings_text
from reporting.run_report import RunReport

SUMMARY_FIGURES = (  # the metrics that a table shows: label, name
    ("accuracy, %", "accuracy"),
    ("balanced accuracy, %", "balanced_accuracy"),
    ("macro F1, %", "macro_f1"),
    ("top-5 accuracy, %", "top5"),
    ("spread, points", "tpr_spread"),
    ("TPR variance", "tpr_variance"),
    ("lowest TPR, %", "tpr_min"),
    ("highest TPR, %", "tpr_max"),
)
IN_SUMMARY = {name for _, name in SUMMARY_FIGURES}


def summary_rows(summary: Summary) -> list[tuple[str, str]]:
    """(label, value as text) of the metrics of a split; top-5 accuracy only if it was counted."""
    values = [(label, name, getattr(summary, name)) for label, name in SUMMARY_FIGURES]
    return [(label, figure_text(name, value)) for label, name, value in values if value is not None]


def summary_rows_of_runs(summaries: Sequence[Summary]) -> list[list[str]]:
    """Rows of the table of the metrics of a split: label, then the value of each run as text, a dash where it was not counted."""
    columns = [dict(summary_rows(summary)) for summary in summaries]
    labels = [label for label, _ in SUMMARY_FIGURES if any(label in column for column in columns)]
    return [[label, *(column.get(label, numbers.DASH) for column in columns)] for label in labels]


def figure_text(name: str, value: float) -> str:
    """A metric in a table as text without its unit, which is in the label."""
    if math.isnan(value):
        return numbers.DASH
    if name == "tpr_variance":
        return numbers.variance(value)
    return numbers.spread_points(value) if name == "tpr_spread" else numbers.in_percent(value)


def more_reading_rows(run: RunReport) -> list[tuple[str, str]]:
    """Rows of a run's table, (label, value as text): the measures that SUMMARY_FIGURES does not name."""
    return [
        (_small(label), value)
        for label, value in readings_text.reading_rows([r for r in run.measures if r.key not in IN_SUMMARY])
    ]


def more_change_rows(changes: Sequence[Change]) -> list[tuple[str, str, str, str]]:
    """Rows of the table of two runs, (label, before, after, difference): the measures that SUMMARY_FIGURES does not name."""
    return [
        (_small(label), *cells)
        for label, *cells in readings_text.change_rows([c for c in changes if c.key not in IN_SUMMARY])
    ]


def _small(label: str) -> str:
    """A label in lower case; a name or an abbreviation stays as it is."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def figures_over_seeds(over: OverSeeds) -> list[list[str]]:
    """Rows of the table of summary figures over seeds: mean ± standard deviation before and after, change, 95 % interval."""
    out = []
    for label, name in (row for row in SUMMARY_FIGURES if row[1] in over.figures):
        f = over.figures[name]
        if name == "tpr_variance":
            sides = [
                numbers.variance_with_sd(mean, sd) for mean, sd in ((f.before, f.before_sd), (f.after, f.after_sd))
            ]
            change, low, high = numbers.variances((f.change, f.low, f.high))
        else:
            places = numbers.share_decimals(f.before, f.after)
            sides = [
                f"{numbers.in_percent(mean, places)} ± {numbers.in_percent(sd, places)}"
                for mean, sd in ((f.before, f.before_sd), (f.after, f.after_sd))
            ]
            change, low, high = numbers.alike([100 * v for v in (f.change, f.low, f.high)], places)
        out.append([label, *sides, change, f"{low} to {high}"])
    return out


def measures_over_seeds(over: OverSeeds, changes: Sequence[Change]) -> list[list[str]]:
    """Rows of the table of measures over seeds, of those that every run has, in the form of `figures_over_seeds`."""
    out = []
    for c in (c for c in changes if c.key in over.measures):
        f, words = over.measures[c.key], readings_text.FORMATS[c.unit]
        change, low, high = words.alike((f.change, f.low, f.high))
        out.append(
            [
                readings_text.label_with_unit(c),
                words.with_sd(f.before, f.before_sd),
                words.with_sd(f.after, f.after_sd),
                change,
                f"{low} to {high}",
            ]
        )
    return out


def further_measures_over_seeds(over: OverSeeds, changes: Sequence[Change]) -> list[list[str]]:
    """Rows of the table of measures over seeds that `figures_over_seeds` lacks; the worst class, nameless over seeds,
    is the lowest TPR."""
    return [
        [_small(label), *cells]
        for label, *cells in measures_over_seeds(
            over, [c for c in changes if c.key not in {*IN_SUMMARY, measured.WORST}]
        )
    ]
