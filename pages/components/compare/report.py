"""The HTML report of a comparison, with the charts that need the database."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import NDArray

from core.comparison.compare import Comparison
from pages.components.common import cached_comparison, run_status
from pages.components.compare import charts
from reporting import confusion_charts, html_pages, numbers, text, tpr_charts, tpr_series
from reporting.html import Listing, Picture
from reporting.palette import LIGHT
from reporting.run_report import RunReport
from storage.results.runs import RunRow


def page(before: RunRow, after: RunRow, c: Comparison, names: list[str], reports: tuple[RunReport, RunReport]) -> str:
    """The HTML; shows means over seeds if there are any. `reports` are those of the other exports."""
    over = c.over_seeds
    b, a = (
        ([before], [after])
        if over is None
        else (cached_comparison.members(before, over.runs_before), cached_comparison.members(after, over.runs_after))
    )
    pictures, tables = reported(b, a, names, tpr_charts.ordering(tpr_series.pictured(c)[0].tpr))
    return html_pages.comparison_page(
        *reports,
        text.typographic(text.of(c.verdict)),
        text.lines(c.cautions),
        over,
        praise=not c.mixed,
        pictures=pictures,
        tables=tables,
    )


def reported(
    before: Sequence[RunRow], after: Sequence[RunRow], names: list[str], order: NDArray
) -> tuple[list[Picture], list[Listing]]:
    """The charts and tables of the report that need the runs' epochs and confusion matrices."""
    pictures = []
    if any(map(run_status.trains, (*before, *after))):
        pictures.append(
            (
                charts.SPREAD,
                html_pages.in_both(lambda p: charts.epochs_picture(before, after, p)[0]),
                charts.epochs_picture(before, after, LIGHT)[1],
                f"Dotted: before. Solid: after. {charts.epochs_notes(before, after)}".rstrip(),
            )
        )
    found = charts.matrices_of(before, after)
    if found is None:
        return pictures, []
    if len(names) <= confusion_charts.TEXT_UP_TO:
        return [
            *pictures,
            (
                charts.MOVED,
                html_pages.in_both(lambda p: confusion_charts.confusion_change(names, *found, p, order)),
                charts.MOVED_ALT,
                charts.change_of(before, names),
            ),
        ], []
    rows = [
        [r["true class"], r["predicted as"], numbers.minus(f"{r['change']:+.1f}"), r["means"]]
        for r in confusion_charts.top_changes(names, *found).to_dict("records")
    ]
    return pictures, [
        (
            charts.MOVED,
            ("true class", "predicted as", "points", "means"),
            rows,
            charts.change_of(before, names),
        )
    ]
