"""The HTML report of a comparison, with the charts that need the database."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.comparison.compare import Comparison
from core.methods import trains
from pages.components.common import cached_comparison
from pages.components.compare import charts
from reporting import confusion_charts, html_pages, numbers, text, tpr_charts, tpr_series
from reporting.html import Listing, Picture
from reporting.palette import LIGHT
from reporting.run_report import RunReport
from storage.results.runs import RunRow


def comparison_report(
    before: RunRow, after: RunRow, c: Comparison, names: list[str], reports: tuple[RunReport, RunReport]
) -> str:
    """The HTML report of a comparison; shows means over seeds if there are any. `reports` are those of the other exports."""
    over = c.over_seeds
    b, a = (
        ([before], [after])
        if over is None
        else (
            cached_comparison.runs_of_side(before, over.runs_before),
            cached_comparison.runs_of_side(after, over.runs_after),
        )
    )
    pictures, tables = charts_and_tables(b, a, names, tpr_charts.ordering(tpr_series.chart_sides(c)[0].tpr))
    return html_pages.comparison_page(
        *reports,
        text.typographic(text.of(c.verdict)),
        text.lines(c.cautions),
        over,
        praise=not c.mixed,
        pictures=pictures,
        tables=tables,
    )


def charts_and_tables(
    before: Sequence[RunRow], after: Sequence[RunRow], names: list[str], order: NDArray[np.int64]
) -> tuple[list[Picture], list[Listing]]:
    """The charts and tables of a comparison's HTML report that need the runs' epochs and confusion matrices."""
    pictures = [spread_chart(before, after)] if any(trains(row.method) for row in (*before, *after)) else []
    found = charts.matrices_of(before, after)
    if found is None:
        return pictures, []
    if len(names) <= confusion_charts.TEXT_UP_TO:
        return [*pictures, confusion_chart(before, names, found, order)], []
    return pictures, [confusion_listing(before, names, found)]


def spread_chart(before: Sequence[RunRow], after: Sequence[RunRow]) -> Picture:
    """For the HTML report of a comparison: the spread of the test TPRs over the epochs, in both color schemes."""
    return (
        charts.SPREAD,
        html_pages.in_both_schemes(lambda p: charts.spread_picture(before, after, p)[0]),
        charts.spread_picture(before, after, LIGHT)[1],
        f"Dotted: before. Solid: after. {charts.spread_notes(before, after)}".rstrip(),
    )


def confusion_chart(
    before: Sequence[RunRow], names: list[str], found: charts.Matrices, order: NDArray[np.int64]
) -> Picture:
    """For the HTML report of a comparison: the change of the confusion matrix, in both color schemes."""
    return (
        charts.MOVED,
        html_pages.in_both_schemes(lambda p: confusion_charts.confusion_change(names, *found, p, order)),
        charts.MOVED_ALT,
        charts.confusion_caption(before, names),
    )


def confusion_listing(before: Sequence[RunRow], names: list[str], found: charts.Matrices) -> Listing:
    """For the HTML report of a comparison: the largest changes of the confusion matrix of many classes, whose matrix
    would be too large."""
    rows = [
        [r["true class"], r["predicted as"], numbers.minus(numbers.signed(r["change"], 1)), r["means"]]
        for r in confusion_charts.top_changes(names, *found).to_dict("records")
    ]
    return (
        charts.MOVED,
        ("true class", "predicted as", "points", "means"),
        rows,
        charts.confusion_caption(before, names),
    )
