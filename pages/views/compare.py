"""Compare: two runs side by side. The URL /compare?a=1&b=2 restores it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from core.comparison.compare import Comparison, with_score
from core.comparison.verdict import ENOUGH_SEEDS, SAME
from core.datasets import DATASETS, describe
from core.errors import EvenlyError
from core.formatting import listed
from core.metrics.readings import Score
from pages.components.common import cached_reads, downloads, navigation, viewport
from pages.components.common.error_guard import told
from pages.components.compare import cached_comparison, charts, report, run_picker, tiles
from pages.components.run import measures
from reporting import csv_json, text, tpr_charts, tpr_series
from reporting import settings_text as run_settings
from reporting.numbers import count
from reporting.text import message, plain
from services import comparison, submission
from services import replicates as seeds_of
from storage.jobs import queue
from storage.results.runs import RunRow

# columns of the run list that the page and its parts read
COLUMNS = ("id", "name", "status", "wanted", "seed", "last_epoch", "group_sha", "baseline_id")
MORE_SEEDS = 2  # per click, once there are ENOUGH_SEEDS
DIFFERING = "Settings that differ between the two runs"


def headline(c: Comparison) -> bool:
    """The verdict, in bold if only the weighting differs, then four tiles with the changes.

    Returns whether means over seeds are shown.
    """
    change, *judged = map(plain, map(text.typographic, text.verdict(c.verdict)))
    st.markdown(" ".join([change if c.mixed else f"**{change}**", *judged]), width=980)
    averaged = all_seeds(c)
    tiles.draw(c, averaged)
    n = int(sum(r.support_after for r in c.rows))
    st.caption(plain(" ".join([f"Test split, {count(n, 'sample')}.", *shown(c, averaged), *text.lines(c.notes)])))
    return averaged


def all_seeds(c: Comparison) -> bool:
    """Whether the page shows means over seeds; a choice is offered only if there are means."""
    if c.over_seeds is None:
        return False
    options = {"seeds": "All seeds", "pair": "These two runs"}  # fixed labels: changed ones would reset the choice
    return (
        st.radio(
            "Metrics and charts of",
            list(options),
            format_func=options.get,
            key="over",
            bind="query-params",
            horizontal=True,
        )
        == "seeds"
    )


def shown(c: Comparison, averaged: bool) -> list[str]:
    """Which runs the numbers are of, if there are means over seeds."""
    if c.over_seeds is None:
        return []
    if not averaged:
        return [f"Numbers and charts show only {c.before} and {c.after}; the verdict uses the means over seeds."]
    b, a = (text.numbered("seed", seeds) for seeds in (c.over_seeds.before, c.over_seeds.after))
    which = f"{b} on both sides" if c.over_seeds.paired else f"{b} before and {a} after"
    return [f"Numbers and charts are means over {which}. Below each number: the 95 % interval of its change."]


def cautions(every: pd.DataFrame, c: Comparison, before: RunRow, after: RunRow) -> None:
    """Each caution, with links to what it asks for."""
    for caution in c.cautions:
        st.warning(message(text.of(caution)), icon=":material/balance:")
    unfinished = [r for r in (before, after) if r.status != "succeeded"]
    fair = None if c.over_seeds is not None else cached_comparison.same_seed(every, before, after)
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


def seeds(every: pd.DataFrame, c: Comparison, before: RunRow, after: RunRow) -> None:
    """Offer more seeds for both runs, or show the progress of those queued: few seeds give a wide interval."""
    if pending := seeds_of.on_the_way(every, before, after):
        seed_progress(tuple(pending))
    elif c.noise.kind != SAME and before.status == after.status == "succeeded":
        pairs = len(c.noise.pairs)
        more = ENOUGH_SEEDS - pairs if pairs < ENOUGH_SEEDS else MORE_SEEDS
        wanted = seeds_of.next_seeds(every, before, after, more)
        b, a = (seeds_of.lacking(every, row, wanted) for row in (before, after))
        st.button(
            f"Add {count(more, 'seed')}" + (" to each" if b == a else ""),
            key="compare_seeds",
            icon=":material/add_circle:",
            on_click=add_seeds,
            args=(before, after, wanted, cached_reads.last_id(every)),
            help=f"Trains {seeds_in_words(before, b, after, a)}. More seeds narrow the interval that separates an effect from seed noise.",
        )


def seeds_in_words(before: RunRow, of_before: list[int], after: RunRow, of_after: list[int]) -> str:
    """Which run is trained with which seeds; seeds that a run already has are left out."""
    if of_before == of_after:
        return f"both runs with {text.numbered('seed', of_before)}"
    each = ((before, of_before), (after, of_after))
    return listed(f"run {row.id} with {text.numbered('seed', seeds)}" for row, seeds in each if seeds)


def add_seeds(before: RunRow, after: RunRow, wanted: list[int], last: int) -> None:
    """Queue the replicates once. The submit key holds the pair, the seeds and the newest run id this view has read.

    Seeds that another view has queued meanwhile are not queued again; the rerun shows their progress.
    """
    with told():
        every = cached_reads.runs(archived=None)
        if seeds_of.next_seeds(every, before, after, len(wanted)) != wanted:
            return
        spec = describe(before.dataset, cached_reads.data_root())
        if before.dataset not in DATASETS:
            spec = replace(spec, label=before.dataset)
        key = f"seeds-{before.id}-{after.id}-{'.'.join(map(str, wanted))}-{last}"
        database = cached_reads.database()
        queue.submit(database, list(submission.more_seeds(database, every, before, after, spec, wanted).rows), key)


@st.fragment(run_every=2.0)
@told()
def seed_progress(ids: tuple[int, ...]) -> None:
    """Progress of the replicates; reruns the page when one has ended."""
    frame = cached_reads.runs(ids=ids)
    active = frame[frame["status"].isin(cached_reads.LIVE)]
    st.progress(
        sum(cached_reads.progress(r) for r in frame.itertuples()) / max(len(frame), 1),
        text=f"{count(len(active), 'run')} with these settings queued or running; metrics update when they finish",
    )
    if len(active) < len(ids):
        st.rerun()


def settings(before: RunRow, after: RunRow) -> None:
    """The settings that differ."""
    st.subheader("Settings that differ", anchor=False)
    rows = run_settings.differing(before, after)
    if not rows:
        st.caption("None: the two runs have the same settings.")
        return
    table = pd.DataFrame(rows, columns=["setting", f"before (run {before.id})", f"after (run {after.id})"])
    if viewport.narrow():  # wraps long cells, which st.dataframe cuts
        st.table(table.map(plain), border="horizontal", hide_index=True, alt=DIFFERING)
        return
    st.dataframe(table, hide_index=True, height="content", key="compare_settings", alt=DIFFERING)


def exports(before: RunRow, after: RunRow, c: Comparison, score: Score | None, names: list[str]) -> None:
    """Downloads of the comparison, with the weighted score that is shown; each file is built on click."""
    b, a = (replace(comparison.report(cached_reads.database(), row), score=score) for row in (before, after))
    name, over = f"evenly-{before.id}-{after.id}", c.over_seeds
    words = text.typographic(text.of(c.verdict)), text.lines(c.cautions)
    files = (
        ("CSV", "csv", "text/csv", lambda: csv_json.comparison_csv(b, a, over), None),
        ("JSON", "json", "application/json", lambda: csv_json.comparison_json(b, a, *words, over), None),
        (
            "HTML report",
            "html",
            "text/html",
            lambda: report.page(before, after, c, names, (b, a)),
            downloads.OFFLINE,
        ),
    )
    downloads.buttons("compare", name, files)


def nothing(frame: pd.DataFrame) -> None:
    """Too few runs to compare: what to do next."""
    finished = "No run has results yet." if frame.empty else "Choose a run on each side."
    st.markdown(
        f"{finished} A comparison needs two runs on the same classes, ideally a baseline and a run weighted by its TPRs."
    )
    st.page_link(navigation.NEW, label="New run", icon=":material/add_circle:")


def baseline_links(before: RunRow, after: RunRow, known: set[int]) -> None:
    """Valid alternatives if these two runs cannot be compared: each with its own baseline."""
    for r in {before.id: before, after.id: after}.values():
        if r.baseline_id in known:
            navigation.link_compare(
                r.baseline_id,
                r.id,
                f"Compare run {r.id} with its baseline, run {r.baseline_id}",
                icon=":material/compare_arrows:",
            )


def main() -> None:
    """The page."""
    st.title("Compare")
    every = cached_reads.runs(archived=None, columns=COLUMNS)
    frame = every[every["last_epoch"] >= 1]
    if frame.empty:
        nothing(frame)
        return
    a, b = run_picker.choose(every, frame)
    if a is None or b is None:
        nothing(frame)
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
    """A valid comparison: cautions, verdict, charts, tables and downloads."""
    names = cached_reads.class_names(before)
    cautions(every, c, before, after)
    averaged = headline(c)
    seeds(every, c, before, after)
    charts.picture(c, names, averaged)
    of_before, of_after = cached_comparison.both_members(c, before, after, averaged)
    left, right = st.columns(2, gap="medium")
    with left:
        charts.over_epochs(of_before, of_after)
        settings(before, after)
    with right:
        charts.confusion_change(
            of_before, of_after, names, tpr_charts.ordering(tpr_series.pictured(c, averaged)[0].tpr)
        )
    score = measures.compared(c, averaged)
    charts.class_table(c, averaged)
    exports(before, after, c if score is None else with_score(c, score), score, names)


with told():
    main()
