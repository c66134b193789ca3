"""Compare: two runs side by side. The URL /compare?a=1&b=2 restores it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.comparison.compare import Comparison, with_score
from core.errors import EvenlyError
from pages.components.common import cached_comparison, cached_reads, navigation, viewport
from pages.components.common.error_guard import showing_errors
from pages.components.compare import (
    charts,
    class_table,
    downloads,
    headline,
    measures,
    more_seeds,
    run_picker,
    settings,
)
from reporting import text, tpr_charts, tpr_series
from reporting.text import message
from storage.results.runs import RunRow

# columns of the run list that the page and its parts read
COLUMNS = ("id", "name", "status", "wanted", "seed", "last_epoch", "group_sha", "baseline_id")


def draw_cautions(every: pd.DataFrame, c: Comparison, before: RunRow, after: RunRow) -> None:
    """Compare's cautions, each with links to what it asks for."""
    for caution in c.cautions:
        st.warning(message(text.of(caution)), icon=":material/balance:")
    unfinished = [r for r in (before, after) if r.status != "succeeded"]
    fair = None if c.over_seeds is not None else run_picker.same_seed_pair(every, before, after)
    with st.container(horizontal=True):
        for r in unfinished:
            navigation.link_run(r.id, f"Open run {r.id}", icon=":material/monitoring:")
        if fair is not None:
            navigation.link_compare(
                fair[0],
                fair[1],
                f"Compare run {fair[0]} with run {fair[1]}, both with seed {fair[2]}",
                icon=":material/compare_arrows:",
            )


def too_few_runs(frame: pd.DataFrame) -> None:
    """Compare with too few runs: what to do next."""
    finished = "No run has results yet." if frame.empty else "Choose a run on each side."
    st.markdown(
        f"{finished} A comparison needs two runs on the same classes, ideally a baseline and a run weighted by its TPRs."
    )
    st.page_link(navigation.NEW, label="New run", icon=":material/add_circle:")


def baseline_links(before: RunRow, after: RunRow, known: set[int]) -> None:
    """Compare's links if its two runs cannot be compared: each with its own baseline."""
    for r in {before.id: before, after.id: after}.values():
        if r.baseline_id in known:
            navigation.link_compare(
                r.baseline_id,
                r.id,
                f"Compare run {r.id} with its baseline, run {r.baseline_id}",
                icon=":material/compare_arrows:",
            )


def main() -> None:
    """The page Compare."""
    st.title("Compare")
    every = cached_reads.runs(archived=None, columns=COLUMNS)
    frame = every[every["last_epoch"] >= 1]
    if frame.empty:
        too_few_runs(frame)
        return
    a, b = run_picker.choose_runs(every, frame)
    if a is None or b is None:
        too_few_runs(frame)
        return
    before, after = cached_reads.run(a), cached_reads.run(b)
    try:
        c = cached_comparison.comparison(before, after)
    except EvenlyError as error:
        st.warning(f"{message(str(error))}.", icon=":material/compare_arrows:")
        baseline_links(before, after, set(frame["id"].tolist()))
        return
    body(every, c, before, after)
    viewport.watch()


def body(every: pd.DataFrame, c: Comparison, before: RunRow, after: RunRow) -> None:
    """Compare with two valid runs: cautions, verdict, charts, tables and downloads."""
    names = cached_reads.class_names(before)
    draw_cautions(every, c, before, after)
    averaged = headline.draw(c)
    more_seeds.draw(every, c, before, after)
    charts.tpr_chart(c, names, averaged)
    of_before, of_after = cached_comparison.runs_of_both_sides(c, before, after, averaged)
    left, right = st.columns(2, gap="medium")
    with left:
        charts.spread_over_epochs(of_before, of_after)
        settings.draw(before, after)
    with right:
        charts.confusion_change(
            of_before, of_after, names, tpr_charts.ordering(tpr_series.chart_sides(c, averaged)[0].tpr)
        )
    score = measures.draw(c, averaged)
    class_table.draw(c, averaged)
    downloads.draw(before, after, c if score is None else with_score(c, score), score, names)


with showing_errors():
    main()
