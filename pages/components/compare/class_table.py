"""The tables of a comparison: the metrics of each class and of the whole split."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.comparison.compare import Comparison
from reporting import tables
from reporting.numbers import minus, points

PERCENT = "%.1f %%"
CLASSES_OF_RUNS = (
    "These two runs, test split. Intervals of the gain: Newcombe, which assumes independent samples. "
    "Both runs are tested on the same samples, so the intervals are usually too wide. "
    "McNemar's test would use the pairing, but needs the prediction of every sample, which is not stored."
)
CLASSES_OF_SEEDS = (
    "Means over the seeds, test split. Intervals of the gain: t intervals over the seeds, valid for this test split."
)


def draw(c: Comparison, averaged: bool) -> None:
    """The tables of Compare: the metrics of each class, then of the whole split; collapsed."""
    over = averaged and c.over_seeds is not None and bool(c.over_seeds.rows)
    with st.expander("Metrics per class", icon=":material/table_rows:", key="compare_numbers"):
        st.caption(CLASSES_OF_SEEDS if over else CLASSES_OF_RUNS)
        st.dataframe(
            class_rows(c, over),
            hide_index=True,
            key="compare_table",
            alt="TPR, precision and F1 of every class before and after",
            column_config=class_columns("seed noise" if over else "sampling noise"),
        )
        st.dataframe(
            pd.DataFrame(
                whole_split_rows(c, over),
                columns=["metric", "before", "after", *(["change", "95 % interval"] if over else [])],
            ),
            hide_index=True,
            height="content",
            key="compare_summary",
            alt="All metrics of the test split before and after",
        )


def class_rows(c: Comparison, over: bool) -> pd.DataFrame:
    """The table of the classes on Compare, a row each: `over` the seeds, or of the two runs."""
    return pd.DataFrame(
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
    )


def class_columns(noise: str) -> dict[str, Any]:
    """Header and format of each column of the class table on Compare; `noise`: what a change has to exceed."""
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "before": number("TPR before", format=PERCENT),
        "after": number("TPR after", format=PERCENT),
        "gain": number("gain, points", format="%+.1f"),
        "interval": "95 % interval",
        "beyond": text(f"beyond {noise}", help=f"Whether the interval excludes 0: the change exceeds {noise}."),
        **{f"{name} {when}": number(format=PERCENT) for name in ("precision", "F1") for when in ("before", "after")},
    }


def whole_split_rows(c: Comparison, over: bool) -> list[list[str]]:
    """The table of the whole split on Compare, a row each: over the seeds, with standard deviations and intervals, or
    of the two runs."""
    if over:
        return [
            [minus(cell) if i > 2 else cell for i, cell in enumerate(row)]
            for row in tables.figures_over_seeds(c.over_seeds)
        ]
    return tables.summary_rows_of_runs([c.summary["before"], c.summary["after"]])
