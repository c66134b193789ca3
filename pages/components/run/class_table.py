"""A sortable table of a run's metrics per class, and the metrics of its whole test split."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.components.common import cached_reads, run_status
from reporting import numbers, run_report, tables
from storage.results.runs import RunRow

PERCENT = "%.1f %%"
CAPTION = (
    "Test split{after}. TPR (recall): share of a class's samples that are predicted as this class. "
    "Precision: share of the predictions of this class that are correct. "
    "F1: harmonic mean of both. Click a column header to sort."
)


def draw(row: RunRow) -> None:
    """The table of the classes on a run's page, collapsed; nothing before its first epoch."""
    if not cached_reads.has_epochs(row):
        return
    run = cached_reads.report(row)
    with st.expander("Metrics per class", icon=":material/table_rows:", key="run_numbers"):
        st.caption(CAPTION.format(after=run_status.after_epoch(row, run.epoch)))
        number = st.column_config.NumberColumn
        st.dataframe(
            pd.DataFrame([class_row(r) for r in run_report.class_rows(run)]),
            hide_index=True,
            key="run_table",
            alt="TPR, precision and F1 of every class",
            column_config={
                "samples": number(help="Test samples of the class."),
                "predicted": number(help="Test samples predicted as this class."),
                "TPR": number(format=PERCENT),
                "precision": number(format=PERCENT),
                "F1": number(format=PERCENT),
                "95 % interval": st.column_config.TextColumn(help="Wilson interval of the TPR: its sampling noise."),
                "weight": number(format="%.4g", help="Class weight of the last epoch."),
            },
        )
        st.dataframe(
            pd.DataFrame(tables.summary_rows(run.summary), columns=["metric", "value"]),
            hide_index=True,
            height="content",
            key="run_summary",
            alt="All metrics of the test split",
        )


def class_row(r: run_report.Row) -> run_report.Row:
    """A row of the class table on a run's page; shares in percent, so that they sort as numbers."""
    found = {
        "class": r["class"],
        "samples": r["support"],
        "predicted": r["predicted"],
        "TPR": 100 * r["tpr"],
        "95 % interval": f"{numbers.percent(r['tpr_low'])} to {numbers.percent(r['tpr_high'])}",
        "precision": 100 * r["precision"],
        "F1": 100 * r["f1"],
    }
    return found if r["weight"] is None else {**found, "weight": r["weight"]}
