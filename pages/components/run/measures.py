"""The measures for imbalanced classes of a run, next to its baseline's; with two classes also the weighted score."""

from __future__ import annotations

import streamlit as st

from core.comparison.confounders import beside_the_weighting
from core.experiment.states import LIVE
from core.formatting import listed
from core.methods import trains
from core.metrics import readings
from pages.components.common import cached_reads, measures_table, run_status
from pages.components.run import charts
from reporting import readings_text, text
from storage.results.runs import RunRow


def draw(row: RunRow) -> None:
    """The measures on a run's page, next to those of a baseline on the same classes; nothing before its first epoch."""
    if not cached_reads.has_epochs(row):
        return
    after, before = cached_reads.report(row), charts.baseline_of(row)
    st.subheader(measures_table.TITLE, anchor=False)
    if before is None:
        st.caption(f"Test split{run_status.after_epoch(row, after.epoch)}.")
    else:
        epoch = f", epoch {after.epoch}" if trains(row.method) else ""
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
        if row.status in LIVE
        else measures_table.ask_for_score(after.classes, readings.positive_class(after.measured.counts))
    )
    if before is None:
        found = readings.readings(after.measured, score)
        measures_table.draw(("value",), readings_text.reading_rows(found))
    else:
        found = readings.changes(cached_reads.report(before).measured, after.measured, score)
        measures_table.draw(measures_table.PAIR, readings_text.change_rows(found))
    measures_table.explain_measures(found)
