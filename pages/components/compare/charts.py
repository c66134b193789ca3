"""The pictures and tables of a comparison: the signature, the spread over epochs, what is predicted differently, every class in numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.comparison.compare import Comparison
from core.metrics.classification import share
from pages.components.common import cached_reads, plotly_chart, run_status, viewport
from reporting import confusion_charts, epoch_charts, tables, tpr_charts, tpr_series
from reporting.figure import Figure
from reporting.palette import Palette
from reporting.text import points
from storage.results.runs import RunRow

KINDS = {"bars": "Bars", "dumbbell": "Dumbbell", "strip": "Strip"}
PERCENT = "%.1f %%"
PHONE_CHANGES = ("change", "true class", "predicted as")
CLASSES_OF_RUNS = (
    "These two runs, test split. The interval of the gain is Newcombe's, "
    "which takes the two sides as independent samples. Both are tested on the same "
    "images, so it is usually wider than it need be. "
    "McNemar's test would use that, but needs the prediction of every sample, which is not kept."
)
CLASSES_OF_SEEDS = (
    "Means over the seeds, test split. The interval of the gain is a t interval over the seeds; "
    "it holds for this test split."
)


def usual_form(kind: str) -> None:
    """The form that suits these classes, at first and when another one suits; one in the address comes before it."""
    state = st.session_state
    if state.get("compare_usual", kind) != kind:
        state["kind"] = kind
    state.setdefault("kind", kind)
    state["compare_usual"] = kind


def picture(c: Comparison, names: list[str], averaged: bool) -> None:
    """The signature, its form and its order."""
    b, a = tpr_series.pictured(c, averaged)
    usual = tpr_charts.usual_kind(b, a)
    usual_form(usual)
    st.subheader("TPR per class", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.radio("Picture", list(KINDS), format_func=KINDS.get, key="kind", bind="query-params", horizontal=True)
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
    plotly_chart.draw(
        tpr_charts.picture(kind, names, b, a, plotly_chart.palette(), by, marked),
        key="compare_signature",
        alt=tpr_charts.describe(names, b, a),
    )
    zoomed = usual != tpr_charts.default_kind(len(names))
    st.caption(
        " ".join(
            filter(
                None,
                (
                    tpr_charts.LINES,
                    tpr_charts.marks(kind, b),
                    "Every TPR is above 90 %, so the usual form is dots on an axis that does not start at 0; bars always do."
                    if zoomed
                    else "",
                ),
            )
        )
    )


SPREAD, MOVED = "Spread over epochs, test split", "What is predicted differently"
THIN = "Thick: mean over the seeds. Thin: each seed."
LEVEL = "A post-hoc step has no epochs: its line is level, at what it reached."


def over_epochs(before: Sequence[RunRow], after: Sequence[RunRow]) -> None:
    """The spread of the test TPRs, epoch by epoch: of two runs, or their seeds' mean with each seed thin."""
    if not any(map(run_status.trains, (*before, *after))):  # two steps: no epochs at all
        return
    st.subheader(SPREAD, anchor=False)
    figure, alt = epochs_picture(before, after, plotly_chart.palette())
    plotly_chart.draw(figure, key="compare_epochs", alt=alt)
    if notes := epochs_notes(before, after):
        st.caption(notes)


def epochs_notes(before: Sequence[RunRow], after: Sequence[RunRow]) -> str:
    """How the picture is to be read, where that is not plain."""
    several, level = len(before) > 1 or len(after) > 1, not all(map(run_status.trains, (*before, *after)))
    return " ".join([THIN] * several + [LEVEL] * level)


def epochs_picture(before: Sequence[RunRow], after: Sequence[RunRow], p: Palette) -> tuple[Figure, str]:
    """The spread over epochs as a figure, and in a sentence."""
    series, thin, ends = [], [], []
    last = max(row.last_epoch for row in (*before, *after))
    for rows, name, colour, dash in ((before, "before", p.before, "dot"), (after, "after", p.after, "solid")):
        each = [spread_by_epoch(row, last) for row in rows]
        epochs, mean = mean_by_epoch(each)
        series.append((name, epochs, mean, colour, dash))
        thin += [(*curve, colour) for curve in each if len(each) > 1]
        ends.append(f"{mean[-1]:.1f} points {name}")
    return epoch_charts.lines(
        p, series, share=False, unit="points", digits=2, thin=thin
    ), f"Spread of the test TPRs per epoch; at the end {' and '.join(ends)}"


def spread_by_epoch(row: RunRow, last: int) -> tuple[NDArray, NDArray]:
    """Epochs and the spread, in points, of a run's test split; of a post-hoc step the same from epoch 1 to `last`."""
    epochs, variance = cached_reads.series(row, "test", "tpr_variance")
    spread = 100 * variance**0.5
    return (epochs, spread) if run_status.trains(row) else (np.array([1, last]), spread[[-1, -1]])


def mean_by_epoch(each: list[tuple[NDArray, NDArray]]) -> tuple[NDArray, NDArray]:
    """The mean of several curves, (epochs, values) each, at every epoch over those that have a value there; NaN where none has."""
    epochs, place = np.unique(np.concatenate([e for e, _ in each]), return_inverse=True)
    values = np.concatenate([v for _, v in each])
    known = ~np.isnan(values)
    place = place[known]
    return epochs, share(np.bincount(place, values[known], len(epochs)), np.bincount(place, minlength=len(epochs)))


def confusion_change(before: Sequence[RunRow], after: Sequence[RunRow], names: list[str], order: NDArray) -> None:
    """Where the predictions moved; of seeds the mean."""
    st.subheader(MOVED, anchor=False)
    found = matrices_of(before, after)
    if found is None:
        st.caption("One of the runs keeps no confusion matrix.")
        return
    b, a = found
    st.caption(change_of(before, names))
    if len(names) <= confusion_charts.TEXT_UP_TO:
        plotly_chart.draw(
            confusion_charts.confusion_change(names, b, a, plotly_chart.palette(), order),
            key="compare_confusion",
            alt=MOVED_ALT,
        )
        return
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    st.dataframe(
        confusion_charts.top_changes(names, b, a),
        hide_index=True,
        height="content",
        key="compare_changes",
        alt="The largest changes of the confusion matrix",
        column_order=PHONE_CHANGES if viewport.narrow() else None,
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


def matrices_of(
    before: Sequence[RunRow], after: Sequence[RunRow]
) -> tuple[confusion_charts.Counts, confusion_charts.Counts] | None:
    """The confusion matrices [C, C] of both sides after the last epoch, added up over the seeds; None where a run keeps none."""
    found = [[cached_reads.confusion(row) for row in rows] for rows in (before, after)]
    return None if any(None in side for side in found) else tuple(sum(matrix for _, matrix in side) for side in found)


def change_of(before: Sequence[RunRow], names: list[str]) -> str:
    """What the change of the confusion is of, and how to read it."""
    what = (
        f"Test split{', last epoch' if run_status.trains(before[0]) else ''}{', mean over the seeds' if len(before) > 1 else ''}. "
        "Change in points: of 100 samples of the true class."
    )
    few = len(names) <= confusion_charts.TEXT_UP_TO
    return (
        f"{what} "
        f"{'Blue is better: more right on the diagonal, fewer errors beside it. Orange is worse.' if few else 'The largest changes first.'}"
    )


def class_table(c: Comparison, averaged: bool) -> None:
    """Every number behind the picture: the whole split, then each class; folded."""
    over = averaged and c.over_seeds is not None and bool(c.over_seeds.rows)
    noise = "seed noise" if over else "sampling noise"
    with st.expander("Every class in numbers", icon=":material/table_rows:", key="compare_numbers"):
        number, text = st.column_config.NumberColumn, st.column_config.TextColumn
        st.caption(CLASSES_OF_SEEDS if over else CLASSES_OF_RUNS)
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "class": r.name,
                        "samples": r.support if over else r.support_after,
                        "before": 100 * r.before,
                        "after": 100 * r.after,
                        "gain": 100 * r.gain,
                        "interval": f"{points(r.gain_low)} to {points(r.gain_high)}",
                        "beyond": "yes" if r.beyond else "no",
                        "precision before": 100 * r.precision_before,
                        "precision after": 100 * r.precision_after,
                        "F1 before": 100 * r.f1_before,
                        "F1 after": 100 * r.f1_after,
                    }
                    for r in (c.over_seeds.rows if over else c.rows)
                ]
            ),
            hide_index=True,
            key="compare_table",
            alt="TPR, precision and F1 of every class before and after",
            column_config={
                "before": number("TPR before", format=PERCENT),
                "after": number("TPR after", format=PERCENT),
                "gain": number("gain, points", format="%+.1f"),
                "interval": "95 % interval",
                "beyond": text(
                    f"beyond {noise}", help=f"Whether the interval leaves out 0: a change of more than {noise}."
                ),
                **{
                    f"{name} {when}": number(format=PERCENT)
                    for name in ("precision", "F1")
                    for when in ("before", "after")
                },
            },
        )
        st.dataframe(
            pd.DataFrame(
                summary_rows(c, over),
                columns=["figure", "before", "after", *(["change", "95 % interval"] if over else [])],
            ),
            hide_index=True,
            height="content",
            key="compare_summary",
            alt="All figures of the test split before and after",
        )


def summary_rows(c: Comparison, over: bool) -> list[list[str]]:
    """All that is reported of the whole split, in words.

    Over the seeds with standard deviations and the change's interval, or of the two runs.
    """
    if over:
        return [
            [cell.replace("-", "−") if i > 2 else cell for i, cell in enumerate(row)]
            for row in tables.figure_rows(c.over_seeds)
        ]
    before, after = (dict(tables.told(c.summary[side])) for side in ("before", "after"))
    return [[label, value, after[label]] for label, value in before.items()]
