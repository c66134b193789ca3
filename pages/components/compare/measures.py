"""The measures for imbalanced classes of a comparison: over the seeds, or of the two runs."""

from __future__ import annotations

import streamlit as st

from core.comparison.compare import Comparison, with_score
from core.metrics import readings
from core.metrics.readings import Score
from pages.components.common import measures_table, viewport
from reporting import readings_text
from reporting.tables import measures_over_seeds


def draw(c: Comparison, averaged: bool) -> Score | None:
    """The measures on Compare: of its means over seeds or of its two runs.

    Returns the selected weighted score; None unless there are two classes.
    """
    st.subheader(measures_table.TITLE, anchor=False)
    names = [row.name for row in c.rows]
    first = next((names.index(m.of_after) for m in c.measures if m.key == readings.WEIGHTED), 0)
    score = measures_table.ask_for_score(names, first)
    found = c if score is None else with_score(c, score)
    if averaged and found.over_seeds is not None:
        rows, what = measures_over_seeds(found.over_seeds, found.measures), "mean ± standard deviation"
        if viewport.narrow_window():  # no room for the standard deviations; the interval shows the noise
            rows, what = (
                [[cell.partition(" ± ")[0] if 0 < i < 3 else cell for i, cell in enumerate(row)] for row in rows],
                "mean",
            )
        st.caption(
            f"Test split, {what} over the seeds. Changes in points, with the 95 % t interval of the mean change."
        )
        measures_table.draw(measures_table.SEEDS, rows)
    else:
        st.caption(f"Test split of {c.before} and {c.after}. Changes in points.")
        measures_table.draw(measures_table.PAIR, readings_text.change_rows(found.measures))
    measures_table.explain_measures(found.measures)
    return score
