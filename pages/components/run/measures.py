"""The measures for imbalanced classes: on the run page next to the baseline's, on Compare before and after.

With two classes also the weighted score.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.comparison.compare import Comparison, with_score
from core.comparison.confounders import beside_the_weighting
from core.formatting import listed
from core.metrics import readings
from core.metrics.readings import Change, Reading, Score
from pages.components.common import cached_reads, run_status, viewport
from pages.components.run import charts
from reporting import readings_text, text
from reporting.tables import measure_seed_rows
from storage.results.runs import RunRow

TITLE = "Measures"
CHANGE, INTERVAL = "change", "95 % interval"
PAIR = ("before", "after", CHANGE)
SEEDS = (*PAIR, INTERVAL)
WIDTH = 760  # maximum px, so that numbers stay near their names


def draw(row: RunRow) -> None:
    """The measures of a run, next to those of a baseline on the same classes; nothing before its first epoch."""
    if not cached_reads.has_epochs(row):
        return
    after, before = cached_reads.report(row), charts.baseline_of(row)
    st.subheader(TITLE, anchor=False)
    if before is None:
        st.caption(f"Test split{run_status.after(row, after.epoch)}.")
    else:
        epoch = f", epoch {after.epoch}" if run_status.trains(row) else ""
        st.caption(
            f"Test split. Before: run {before.id} (baseline). After: run {row.id}{epoch}. "
            "Changes in points. They include seed noise; Compare judges the change."
        )
        if others := beside_the_weighting(before.config, row.config):
            st.caption(
                text.plain(
                    f"The runs also differ in {listed(text.lines(others))}, so the weighting alone does not explain a change."
                )
            )
    # an active run is redrawn all the time, which would reset an input while a person moves it
    score = (
        None
        if row.status in cached_reads.LIVE
        else asked(after.classes, readings.positive_class(after.measured.counts))
    )
    if before is None:
        found = readings.readings(after.measured, score)
        table(("value",), readings_text.reading_rows(found))
    else:
        found = readings.changes(cached_reads.report(before).measured, after.measured, score)
        table(PAIR, readings_text.change_rows(found))
    explained(found)


def compared(c: Comparison, averaged: bool) -> Score | None:
    """The measures of a comparison: of its means over seeds or of its two runs.

    Returns the selected weighted score; None unless there are two classes.
    """
    st.subheader(TITLE, anchor=False)
    names = [row.name for row in c.rows]
    first = next((names.index(m.of_after) for m in c.measures if m.key == readings.WEIGHTED), 0)
    score = asked(names, first)
    found = c if score is None else with_score(c, score)
    if averaged and found.over_seeds is not None:
        rows, what = measure_seed_rows(found.over_seeds, found.measures), "mean ± standard deviation"
        if viewport.narrow():  # no room for the standard deviations; the interval shows the noise
            rows, what = (
                [[cell.partition(" ± ")[0] if 0 < i < 3 else cell for i, cell in enumerate(row)] for row in rows],
                "mean",
            )
        st.caption(
            f"Test split, {what} over the seeds. Changes in points, with the 95 % t interval of the mean change."
        )
        table(SEEDS, rows)
    else:
        st.caption(f"Test split of {c.before} and {c.after}. Changes in points.")
        table(PAIR, readings_text.change_rows(found.measures))
    explained(found.measures)
    return score


def asked(classes: Sequence[str], positive: int) -> Score | None:
    """Alpha and the positive class, kept in the URL; None unless there are two classes. `positive` is the default class."""
    if len(classes) != 2:
        return None
    with st.container(horizontal=True, vertical_alignment="bottom", key="measures_score"):
        alpha = st.slider(
            "Alpha of the weighted score",
            0.0,
            1.0,
            readings.HALF,
            0.05,
            key="alpha",
            bind="query-params",
            width=320,
            help="Weighted score: alpha TPR + (1 − alpha) TNR. 0.5 is balanced accuracy; 1 counts only the positive class.",
        )
        chosen = st.selectbox(
            "Positive class",
            range(2),
            index=positive,
            format_func=lambda c: classes[c],
            key="positive",
            bind="query-params",
            width=220,
            help="The TPR is of this class, the TNR is the TPR of the other one. Default: the class with the fewest training samples.",
        )
    return Score(alpha, chosen)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """One row per measure. Values may contain class names, so only the columns of differences get the real minus sign."""
    signed = [c in (CHANGE, INTERVAL) for c in ("", *columns)]
    shown = [
        [text.plain(cell.replace("-", "−") if has_sign else cell) for cell, has_sign in zip(row, signed, strict=True)]
        for row in rows
    ]
    with st.container(width=WIDTH):  # a table with a width of its own would not wrap on a phone
        st.table(
            pd.DataFrame(shown, columns=["measure", *columns]),
            border="horizontal",
            hide_index=True,
            alt="Measures of the test split",
        )


def explained(found: Sequence[Reading | Change]) -> None:
    """What each measure means; collapsed."""
    with st.expander("What the measures mean", icon=":material/help:", key="measures_said"):
        st.markdown(
            "\n".join(
                f"- **{text.plain(readings_text.label(m))}**: {text.plain(readings_text.meaning(m))}" for m in found
            )
        )
