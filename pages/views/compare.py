"""Compare: two runs side by side. The address /compare?a=1&b=2 restores it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from core.comparison.compare import Comparison, with_score
from core.comparison.verdict import ENOUGH_SEEDS, SAME
from core.datasets import DATASETS
from core.errors import EvenlyError
from core.metrics.readings import Score
from pages.components.common import cached_reads, downloads, navigation, viewport
from pages.components.common.error_guard import told
from pages.components.compare import cached_comparison, charts, report, run_picker, tiles
from pages.components.run import measures
from reporting import csv_json, text, tpr_charts, tpr_series
from reporting import settings_text as run_settings
from reporting.text import count, message, plain
from services import comparison, submission
from services import replicates as seeds_of
from storage.jobs import queue
from storage.results.runs import RunRow

# of the list of runs, what the page and its parts read
COLUMNS = ("id", "name", "status", "wanted", "seed", "last_epoch", "group_sha", "baseline_id")
MORE_SEEDS = 2  # offered at a time where there are enough already
DIFFERING = "Settings that differ between the two runs"


def headline(c: Comparison) -> bool:
    """The verdict, in bold where nothing but the weighting differs, then four numbers with what changed.

    Returns whether means over seeds are shown.
    """
    change, *judged = map(plain, map(text.pretty, text.verdict(c.verdict)))
    st.markdown(" ".join([change if c.mixed else f"**{change}**", *judged]), width=980)
    averaged = all_seeds(c)
    tiles.draw(c, averaged)
    n = int(sum(r.support_after for r in c.rows))
    st.caption(plain(" ".join([f"Test split, {count(n, 'sample')}.", *shown(c, averaged), *text.lines(c.notes)])))
    return averaged


def all_seeds(c: Comparison) -> bool:
    """Whether the page shows the means over seeds or the two runs; a choice only where there are means."""
    if c.over_seeds is None:
        return False
    options = {"seeds": "All seeds", "pair": "These two runs"}  # labels that changed would lose the choice
    return (
        st.radio(
            "Figures and pictures of",
            list(options),
            format_func=options.get,
            key="over",
            bind="query-params",
            horizontal=True,
        )
        == "seeds"
    )


def shown(c: Comparison, averaged: bool) -> list[str]:
    """What the numbers are of, where there is more than one answer."""
    if c.over_seeds is None:
        return []
    if not averaged:
        return [
            f"Numbers and pictures show {c.before} and {c.after} alone; the verdict speaks of the means over seeds."
        ]
    b, a = (text.numbered("seed", seeds) for seeds in (c.over_seeds.before, c.over_seeds.after))
    which = f"{b}, each trained both ways" if c.over_seeds.paired else f"{b} before and {a} after"
    return [f"Numbers and pictures are means over {which}; under each number the 95 % interval of its change."]


def unfair(every: pd.DataFrame, c: Comparison, before: RunRow, after: RunRow) -> None:
    """Each caution with the way to what it asks for."""
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
                f"Compare run {fair[0]} with run {fair[1]}, both of seed {fair[2]}",
                icon=":material/compare_arrows:",
            )


def seeds(every: pd.DataFrame, c: Comparison, before: RunRow, after: RunRow) -> None:
    """One seed proves little and a few leave a wide interval: always offer more of both, and say which are on their way."""
    if pending := seeds_of.on_the_way(every, before, after):
        coming(tuple(pending))
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
            help=f"Trains {again(before, b, after, a)}: the more seeds, the narrower the interval that tells an effect from seed noise.",
        )


def again(before: RunRow, of_before: list[int], after: RunRow, of_after: list[int]) -> str:
    """Which of the two is trained with which seeds; one that has a replicate of a seed is not trained with it again."""
    if of_before == of_after:
        return f"both again with {text.numbered('seed', of_before)}"
    each = ((before, of_before), (after, of_after))
    return " and ".join(f"run {row.id} again with {text.numbered('seed', seeds)}" for row, seeds in each if seeds)


def add_seeds(before: RunRow, after: RunRow, wanted: list[int], last: int) -> None:
    """Queue the replicates once. The key holds the pair, the seeds and the newest run that the view had seen; seeds that
    another view has started meanwhile are not started again, and the page that follows shows them on their way."""
    with told():
        every = cached_reads.runs(archived=None)
        if seeds_of.next_seeds(every, before, after, len(wanted)) != wanted:
            return
        label = DATASETS[before.dataset].label if before.dataset in DATASETS else before.dataset
        key = f"seeds-{before.id}-{after.id}-{'.'.join(map(str, wanted))}-{last}"
        database = cached_reads.database()
        queue.submit(database, submission.more_seeds(database, every, before, after, label, wanted), key)


@st.fragment(run_every=2.0)
@told()
def coming(ids: tuple[int, ...]) -> None:
    """How far the replicates are; the page is redrawn when one has finished."""
    frame = cached_reads.runs(ids=ids)
    on = frame[frame["status"].isin(cached_reads.LIVE)]
    st.progress(
        sum(cached_reads.progress(r) for r in frame.itertuples()) / max(len(frame), 1),
        text=f"{count(len(on), 'run')} of these settings on the way; the figures follow",
    )
    if len(on) < len(ids):
        st.rerun()


def settings(before: RunRow, after: RunRow) -> None:
    """Only what differs."""
    st.subheader("Settings that differ", anchor=False)
    rows = run_settings.differing(before, after)
    if not rows:
        st.caption("None: the two runs have the same settings.")
        return
    table = pd.DataFrame(rows, columns=["setting", f"before (run {before.id})", f"after (run {after.id})"])
    if viewport.narrow():  # its lines break, where the cells of the other are cut
        st.table(table.map(plain), border="horizontal", hide_index=True, alt=DIFFERING)
        return
    st.dataframe(table, hide_index=True, height="content", key="compare_settings", alt=DIFFERING)


def exports(before: RunRow, after: RunRow, c: Comparison, score: Score | None, names: list[str]) -> None:
    """The comparison as files, with the weighted score that is shown; each is made when it is asked for."""
    b, a = (replace(comparison.report(cached_reads.database(), row), score=score) for row in (before, after))
    name = f"evenly-{before.id}-{after.id}"
    files = (
        ("CSV", "csv", "text/csv", lambda: csv_json.comparison_csv(b, a, c.over_seeds), None),
        ("JSON", "json", "application/json", lambda: csv_json.comparison_json(b, a, c), None),
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
    """Too little to compare: what to do next."""
    finished = "No run has results yet." if frame.empty else "Choose a run on each side."
    st.markdown(
        f"{finished} A comparison needs two runs on the same classes, best a baseline and a run weighted by its TPRs."
    )
    st.page_link(navigation.NEW, label="New run", icon=":material/add_circle:")


def fitting(before: RunRow, after: RunRow, known: set[int]) -> None:
    """Comparisons that would hold, where these two runs cannot be compared: each with its own baseline."""
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
        fitting(before, after, set(frame["id"].tolist()))
        return
    body(every, c, before, after)
    viewport.watch()


def body(every: pd.DataFrame, c: Comparison, before: RunRow, after: RunRow) -> None:
    """A comparison that holds: what makes it unfair, the verdict, pictures, tables and files."""
    names = cached_reads.class_names(before)
    unfair(every, c, before, after)
    averaged = headline(c)
    seeds(every, c, before, after)
    charts.picture(c, names, averaged)
    of_before, of_after = behind(c, before, after, averaged)
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


def behind(c: Comparison, before: RunRow, after: RunRow, averaged: bool) -> tuple[list[RunRow], list[RunRow]]:
    """The runs that the curves and the confusion are of: all seeds' on each side, or the two."""
    if not averaged or c.over_seeds is None:
        return [before], [after]
    return cached_comparison.members(before, c.over_seeds.runs_before), cached_comparison.members(
        after, c.over_seeds.runs_after
    )


with told():
    main()
