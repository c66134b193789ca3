"""The charts of a comparison: TPRs per class, spread over epochs, confusion changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.comparison.compare import Comparison
from core.formatting import listed
from core.methods import trains
from core.metrics.classification import share
from pages.components.common import cached_reads, plotly_chart, viewport
from reporting import confusion_charts, epoch_charts, tpr_charts, tpr_series
from reporting.figure import Figure
from reporting.palette import Palette
from storage.results.runs import RunRow

KINDS = {"bars": "Bars", "dumbbell": "Dumbbell", "strip": "Strip"}
ZOOMED = "Every TPR is above 90 %, so the default is dots on an axis that does not start at 0; bars always start at 0."
Curve = tuple[NDArray[np.int64], NDArray[np.float64]]  # epochs, values
PHONE_CHANGES = ("change", "true class", "predicted as")


def preselect_form(kind: str) -> None:
    """Preselect the form of Compare's TPR chart that suits these classes, and again when another one does; a form in
    the URL takes precedence."""
    state = st.session_state
    if state.get("compare_usual", kind) != kind:
        state["kind"] = kind
    state.setdefault("kind", kind)
    state["compare_usual"] = kind


def tpr_chart(c: Comparison, names: list[str], averaged: bool) -> None:
    """The chart of TPRs per class on Compare, with its form and order."""
    b, a = tpr_series.chart_sides(c, averaged)
    usual = tpr_charts.usual_kind(b, a)
    preselect_form(usual)
    st.subheader("TPR per class", anchor=False)
    kind, by, marked = form_and_order(names)
    plotly_chart.draw(
        tpr_charts.tpr_figure(kind, names, b, a, plotly_chart.palette(), by, marked),
        key="compare_signature",
        alt=tpr_charts.describe(names, b, a),
    )
    zoomed = ZOOMED if usual != tpr_charts.default_kind(len(names)) else ""
    st.caption(" ".join(filter(None, (tpr_charts.LINES, tpr_charts.marks(kind, b), zoomed))))


def form_and_order(names: list[str]) -> tuple[str, str, int | None]:
    """The chosen form of Compare's TPR chart, its order, and the class to mark in a strip, if one is."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.radio("Chart", list(KINDS), format_func=KINDS.get, key="kind", bind="query-params", horizontal=True)
        by = st.selectbox(
            "Sorted by",
            list(tpr_charts.ORDERS),
            format_func=tpr_charts.ORDERS.get,
            key="order",
            bind="query-params",
            width=190,
        )
        marked = None
        if kind == "strip":
            marked = st.selectbox(
                "Find a class",
                range(len(names)),
                index=None,
                format_func=lambda i: names[i],
                key="compare_find",
                placeholder="Class name",
                width=220,
            )
    return kind, by, marked


SPREAD, MOVED = "Spread over epochs, test split", "Change of the confusion matrix"
THIN = "Thick: mean over the seeds. Thin: each seed."
LEVEL = "A post-hoc step has no epochs; its line is constant."


def spread_over_epochs(before: Sequence[RunRow], after: Sequence[RunRow]) -> None:
    """The chart of Compare of the spread of the test TPRs over epochs: of two runs, or the mean over seeds with thin
    lines for each seed."""
    if not any(trains(row.method) for row in (*before, *after)):  # two steps: no epochs at all
        return
    st.subheader(SPREAD, anchor=False)
    figure, alt = spread_picture(before, after, plotly_chart.palette())
    plotly_chart.draw(figure, key="compare_epochs", alt=alt)
    if notes := spread_notes(before, after):
        st.caption(notes)


def spread_notes(before: Sequence[RunRow], after: Sequence[RunRow]) -> str:
    """How to read Compare's chart of the spread over epochs, where that needs a note."""
    several, level = len(before) > 1 or len(after) > 1, not all(trains(row.method) for row in (*before, *after))
    return " ".join([THIN] * several + [LEVEL] * level)


def spread_picture(before: Sequence[RunRow], after: Sequence[RunRow], p: Palette) -> tuple[Figure, str]:
    """The figure and the alt text of Compare's chart of the spread over epochs, also for its HTML report."""
    series, thin, ends = [], [], []
    last = max(row.last_epoch for row in (*before, *after))
    for rows, name, color, dash in ((before, "before", p.before, "dot"), (after, "after", p.after, "solid")):
        each = [spread_curve(row, last) for row in rows]
        epochs, mean = mean_curve(each)
        series.append((name, epochs, mean, color, dash))
        thin += [(*curve, color) for curve in each if len(each) > 1]
        ends.append(f"{mean[-1]:.1f} points {name}")
    return epoch_charts.curves(
        p, series, share=False, unit="points", digits=2, thin=thin
    ), f"Spread of the test TPRs per epoch; at the end {listed(ends)}"


def spread_curve(row: RunRow, last: int) -> Curve:
    """A curve of Compare's chart: epochs and the spread in points of a run's test split; for a post-hoc step, constant
    from epoch 1 to `last`."""
    epochs, variance = cached_reads.series(row, "test", "tpr_variance")
    spread = 100 * variance**0.5
    return (epochs, spread) if trains(row.method) else (np.array([1, last]), spread[[-1, -1]])


def mean_curve(each: Sequence[Curve]) -> Curve:
    """The mean of several curves of Compare's chart, (epochs, values) each, over those with a value at an epoch; NaN if
    none has one."""
    epochs, place = np.unique(np.concatenate([e for e, _ in each]), return_inverse=True)
    values = np.concatenate([v for _, v in each])
    known = ~np.isnan(values)
    place = place[known]
    return epochs, share(np.bincount(place, values[known], len(epochs)), np.bincount(place, minlength=len(epochs)))


def confusion_change(
    before: Sequence[RunRow], after: Sequence[RunRow], names: list[str], order: NDArray[np.int64]
) -> None:
    """The chart of Compare of how the confusion matrix changed; with several seeds, its mean."""
    st.subheader(MOVED, anchor=False)
    found = matrices_of(before, after)
    if found is None:
        st.caption("One of the runs has no stored confusion matrix.")
        return
    st.caption(confusion_caption(before, names))
    if len(names) <= confusion_charts.TEXT_UP_TO:
        plotly_chart.draw(
            confusion_charts.confusion_change(names, *found, plotly_chart.palette(), order),
            key="compare_confusion",
            alt=MOVED_ALT,
        )
    else:
        largest_changes(names, found)


def largest_changes(names: list[str], found: Matrices) -> None:
    """The table of the largest changes of the confusion matrix on Compare, for too many classes to draw a chart."""
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    st.dataframe(
        confusion_charts.top_changes(names, *found),
        hide_index=True,
        height="content",
        key="compare_changes",
        alt="The largest changes of the confusion matrix",
        column_order=PHONE_CHANGES if viewport.narrow_window() else None,
        column_config={
            "change": number("points", format="%+.1f", width=58),
            "true class": text(width=104),
            "predicted as": text(width=104),
            "means": text(width=88),
            "before": number("before", format="%.1f %%", width=64),
            "after": number("after", format="%.1f %%", width=64),
        },
    )


MOVED_ALT = "Change of the confusion matrix in points of each true class"
Matrices = tuple[confusion_charts.Counts, confusion_charts.Counts]  # before and after


def matrices_of(before: Sequence[RunRow], after: Sequence[RunRow]) -> Matrices | None:
    """For Compare's chart of the confusion changes: the matrices [C, C] of both sides after the last epoch, summed over
    the seeds; None if one is not stored."""
    found = [[cached_reads.confusion(row) for row in rows] for rows in (before, after)]
    return None if any(None in side for side in found) else tuple(sum(matrix for _, matrix in side) for side in found)


def confusion_caption(before: Sequence[RunRow], names: list[str]) -> str:
    """Caption of Compare's chart of the confusion changes: split, epoch, seeds, and how to read them."""
    what = (
        f"Test split{', last epoch' if trains(before[0].method) else ''}{', mean over the seeds' if len(before) > 1 else ''}. "
        "Change in points: per 100 samples of the true class."
    )
    few = len(names) <= confusion_charts.TEXT_UP_TO
    return (
        f"{what} "
        f"{'Blue: better (more correct on the diagonal, fewer errors off it). Orange: worse.' if few else 'Largest changes first.'}"
    )
