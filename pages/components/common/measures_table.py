"""The table of measures on the page of a run and on Compare: its settings for two classes, its rows and their meaning."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.metrics import readings
from core.metrics.readings import Change, Reading, Score
from reporting import readings_text, text
from reporting.numbers import minus

TITLE = "Measures"
CHANGE, INTERVAL = "change", "95 % interval"
PAIR = ("before", "after", CHANGE)
SEEDS = (*PAIR, INTERVAL)
WIDTH = 760  # maximum px, so that numbers stay near their names


def ask_for_score(classes: Sequence[str], positive: int) -> Score | None:
    """The widgets above the table of measures: alpha and the positive class of the weighted score, kept in the URL;
    None unless there are two classes. `positive` is the default class."""
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


def draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The table of measures, a row each. Values may contain class names, so only the columns of differences get the
    real minus sign."""
    signed = [c in (CHANGE, INTERVAL) for c in ("", *columns)]
    shown = [
        [text.plain(minus(cell) if has_sign else cell) for cell, has_sign in zip(row, signed, strict=True)]
        for row in rows
    ]
    with st.container(width=WIDTH):  # a table with a width of its own would not wrap on a phone
        st.table(
            pd.DataFrame(shown, columns=["measure", *columns]),
            border="horizontal",
            hide_index=True,
            alt="Measures of the test split",
        )


def explain_measures(found: Sequence[Reading | Change]) -> None:
    """Below the table of measures what each means; collapsed."""
    with st.expander("What the measures mean", icon=":material/help:", key="measures_said"):
        st.markdown(
            "\n".join(
                f"- **{text.plain(readings_text.reading_label(m))}**: {text.plain(readings_text.reading_meaning(m))}"
                for m in found
            )
        )
