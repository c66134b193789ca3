"""The four tiles on the page of a run: metrics of the test split."""

from __future__ import annotations

import streamlit as st

from core.methods import trains
from reporting.numbers import percent, spread, variance
from storage.results.runs import RunRow


def draw(row: RunRow) -> None:
    """The four tiles of a run: accuracy, spread, variance and lowest TPR after the last epoch; the best epoch on hover."""
    with st.grid(4, min_column_width=150):
        st.metric("Accuracy", percent(row.accuracy), help=_best(row, percent(row.best_accuracy)))
        st.metric("Spread of TPRs", spread(row.tpr_variance), help=_best(row, spread(row.best_tpr_variance)))
        st.metric("TPR variance", variance(row.tpr_variance), help=_best(row, variance(row.best_tpr_variance)))
        st.metric("Lowest TPR", percent(row.tpr_min), help=_best(row, percent(row.best_tpr_min)))


def _best(row: RunRow, value: str) -> str:
    if not trains(row.method):
        return "Test split."
    return f"Test split, last epoch. At the best epoch ({row.best_epoch}, highest balanced accuracy on validation): {value}"
