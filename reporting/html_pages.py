"""HTML reports with charts: metrics, TPRs per class and settings. For the pages and the command line; needs no Streamlit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from core.comparison.seed_statistics import OverSeeds
from core.methods import METHODS
from core.metrics.intervals import wilson
from reporting import settings_text, tpr_charts, tpr_series
from reporting.figure import Figure
from reporting.html import Listing, Picture, comparison_html, run_html
from reporting.numbers import exact
from reporting.palette import DARK, LIGHT, Palette
from reporting.run_report import RunReport

ALONE = "TPR per class, hardest first"
PLAIN = {m.key for m in METHODS if not m.needs and not m.params}  # methods of a baseline: without inputs and parameters
HEADINGS = {"bars": ALONE, "dumbbell": "Gain and loss of every class", "strip": "All classes, hardest first"}
DUMBBELLS_UP_TO = 200  # classes; more fit into a report than on a screen


def report_side(run: RunReport, label: str) -> tpr_series.ChartSide:
    """For the charts of an HTML page: a run's TPRs with their limits."""
    return tpr_series.ChartSide(label, run.metrics.tpr, *wilson(run.tp, run.support))


def run_page(run: RunReport) -> str:
    """One run as a self-contained HTML page with charts. A weighted run is drawn in the style of "after"."""
    names, mine = list(run.classes), replace(report_side(run, f"run {run.id}"), weighted=run.config.method not in PLAIN)
    kind = tpr_charts.usual_kind(mine)
    figures = in_both_schemes(lambda p: tpr_charts.tpr_figure(kind, names, mine, None, p))
    return run_html(
        run,
        settings_text.listed_settings(run),
        [
            (
                ALONE,
                figures,
                tpr_charts.describe(names, mine, None),
                f"{tpr_charts.LINES_ALONE} {tpr_charts.marks(kind, mine)}",
            )
        ],
    )


def in_both_schemes(draw: Callable[[Palette], Figure]) -> dict[str, Figure]:
    """A chart of an HTML page in the light and the dark color scheme."""
    return {p.name: draw(p) for p in (LIGHT, DARK)}


def comparison_page(
    before: RunReport,
    after: RunReport,
    verdict: str,
    cautions: Sequence[str] = (),
    over: OverSeeds | None = None,
    *,
    praise: bool = True,
    pictures: Sequence[Picture] = (),
    tables: Sequence[Listing] = (),
) -> str:
    """Two runs as a self-contained HTML page with charts, in the form that suits the classes and also as dumbbells.

    Shows means over seeds if there are any. `pictures` and `tables` that need the database, as curves over epochs,
    follow; `praise` as in `reporting.html.comparison_html`.
    """
    names = list(before.classes)
    b, a = (
        tpr_series.sides_of_seeds(over)
        if over is not None and over.rows
        else (report_side(before, "before"), report_side(after, "after"))
    )
    alt = tpr_charts.describe(names, b, a)
    kinds = [
        k
        for k in dict.fromkeys((tpr_charts.usual_kind(b, a), "dumbbell"))
        if k != "dumbbell" or len(names) <= DUMBBELLS_UP_TO
    ]
    drawn = [
        (
            HEADINGS[k],
            in_both_schemes(lambda p, k=k: tpr_charts.tpr_figure(k, names, b, a, p)),
            alt,
            f"{tpr_charts.LINES} {tpr_charts.marks(k, b)}",
        )
        for k in kinds
    ]
    return comparison_html(
        before,
        after,
        verdict,
        cautions,
        settings_text.differing(before, after),
        [*drawn, *pictures],
        over,
        common=settings_text.shared_settings(before, after),
        made=exact(datetime.now(UTC)),
        praise=praise,
        tables=tables,
    )
