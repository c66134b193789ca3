"""Home: introduction, one button, the latest comparison, recent runs."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.comparison.compare import Comparison
from core.datasets import describe
from core.experiment.presets import FIRST
from core.experiment.states import BUSY, LIVE, RESUME
from core.formatting import count, listed
from pages.components.common import cached_comparison, cached_reads, navigation, plan_findings, plotly_chart, run_status
from pages.components.common.error_guard import showing_errors
from reporting import numbers, tpr_charts, tpr_series
from reporting import text as words
from services import run_time, submission
from services.tpr_sources import TRAIN_FIRST, TprSource
from storage.db.paths import data_root
from storage.jobs import queue
from storage.results.run_records import ListedRun

RECENT = 5


def planned_comparison(seed: int) -> submission.Plan:
    """The submission of Home's first comparison: a baseline and a weighted run."""
    spec = describe(FIRST.weighted.dataset, data_root())
    return submission.plan(cached_reads.database(), FIRST.weighted, spec, [seed], TprSource(TRAIN_FIRST))


def first_runs(frame: pd.DataFrame, plan: submission.Plan) -> pd.DataFrame:
    """All runs of Home's first comparison, wherever they were started. `plan`: its submission, with any seed."""
    return frame[frame["group_sha"].isin({row.group_sha for row in plan.rows})]


def unfinished_run(mine: pd.DataFrame) -> ListedRun | None:
    """The newest run of Home's first comparison if it was stopped or failed, is not archived, and no other is unfinished."""
    if mine.empty or mine["status"].isin(BUSY).any():
        return None
    newest = next(mine.sort_values("id", ascending=False).head(1).itertuples())
    return newest if run_status.how_it_ended(newest) and not newest.archived else None


def next_seed(frame: pd.DataFrame, plan: submission.Plan) -> int:
    """The first seed that Home's first comparison lacks, so that pressing the button again adds a replicate."""
    weighted = plan.rows[-1].group_sha
    done = set(frame[(frame["group_sha"] == weighted) & (frame["status"] == "succeeded")]["seed"])
    return next(seed for seed in range(len(done) + 1) if seed not in done)


def start_comparison(seed: int) -> None:
    """Queue both runs of Home's first comparison. The submit key holds the newest run id on this page, so a second
    click or tab adds nothing."""
    with showing_errors():
        rows = list(planned_comparison(seed).rows)
        st.session_state["home_started"] = queue.submit(
            cached_reads.database(), rows, st.session_state["home_submit_key"]
        )


def resume_runs(ids: list[int]) -> None:
    """Resume from Home paused, stopped or failed runs, and the baselines they wait for."""
    with showing_errors():
        for run_id in ids:
            queue.ask(cached_reads.database(), run_id, RESUME)


def progress_line(busy: pd.DataFrame) -> str:
    """State of the unfinished runs of Home's first comparison: "Run 16 is paused"."""
    paused = [f"run {i}" for i in sorted(busy[busy["status"] == "paused"]["id"])]
    if not paused:
        return "Both runs are in progress" if len(busy) > 1 else "One run is in progress"
    text = f"{listed(paused)} {'is' if len(paused) == 1 else 'are'} paused"
    return words.capitalized(text)


def expected_time(every: pd.DataFrame) -> str:
    """Estimated time of the two runs that Home starts, from earlier runs on this machine, else a range; and how many
    runs are ahead."""
    seconds, ahead = (
        run_time.seconds_for(every, (FIRST.baseline, FIRST.weighted)),
        int(every["status"].isin(LIVE).sum()),
    )
    behind = f", behind {count(ahead, 'run')}" if ahead else ""
    if seconds is None:
        least, most = (numbers.duration(s) for s in (FIRST.seconds, FIRST.most_seconds))
        return f"{least} to {most}, depending on the machine{behind}"
    return f"about {numbers.rough(seconds)}, estimated from earlier runs{behind}"


def introduction() -> None:
    """The title of Home, and what Evenly does."""
    st.title("No class left behind")
    st.markdown(
        "A classifier with 90 % accuracy can still fail on one class. Evenly trains a baseline, turns the true-positive rate (TPR) "
        "of every class into class weights, trains again, and shows which classes improved and what it cost.",
        width=820,
    )


def start_buttons(busy: pd.DataFrame, seed: int, every: pd.DataFrame) -> None:
    """The primary action of Home: start the first comparison with this seed, or resume its paused runs; and how far it is."""
    with st.container(horizontal=True, vertical_alignment="center"):
        paused = [int(i) for i in busy[busy["status"] == "paused"]["id"]]
        if paused:
            resume_button("Resume", paused, primary=True)
        st.button(
            FIRST.label,
            key="home_start",
            type="secondary" if paused else "primary",
            icon=":material/equalizer:",
            disabled=not busy.empty,
            on_click=start_comparison,
            args=(seed,),
        )
        what = "A baseline and a weighted run" if seed == 0 else f"Adds seed {seed} to the comparison"
        st.caption(f"{what}, {expected_time(every)}" if busy.empty else progress_line(busy))


def resume_button(label: str, ids: list[int], *, primary: bool = False) -> None:
    """The one button of Home that resumes runs."""
    st.button(
        label,
        key="home_resume",
        type="primary" if primary else "secondary",
        icon=":material/play_arrow:",
        on_click=resume_runs,
        args=(ids,),
    )


def unfinished_line(record: ListedRun) -> None:
    """A run of Home's first comparison that was stopped or failed: its link with the reason, and the button that resumes it."""
    with st.container(horizontal=True, vertical_alignment="center", key="home_left"):
        ended = words.message(run_status.how_it_ended(record))
        navigation.link_run(record.id, ended, icon=":material/info:", width="content")
        resume_button(run_status.resume_label(record), [int(record.id)])


@st.fragment(run_every=1.0)
@showing_errors()
def live_runs(ids: list[int], statuses: list[str]) -> None:
    """The unfinished runs and the recent ones on Home, from one read; a changed state reruns the page."""
    frame = runs_on_screen(ids)
    records = list(frame[frame["id"].isin(ids)].sort_values("id").itertuples())
    if [record.status for record in records] != statuses:
        st.rerun()
    where = run_status.places(*records)
    for record in records:
        st.progress(
            run_status.share_done(record, where),
            text=f"{words.plain(record.name)}: {run_status.word(record)}, {run_status.progress_text(record, where)}",
        )
    live_chart(records)
    recent_runs(frame[~frame["archived"]])


def runs_on_screen(ids: list[int]) -> pd.DataFrame:
    """These runs and the recent ones on Home, each once."""
    return pd.concat([cached_reads.runs(ids=ids), cached_reads.runs(limit=RECENT)]).drop_duplicates("id")


def live_pair(
    before: ListedRun, row: ListedRun
) -> tuple[list[str], tpr_series.ChartSide, tpr_series.ChartSide | None] | None:
    """What Home's TPR chart shows of unfinished runs: class names, the baseline, and `row` once it has finished an epoch.

    Shows the epochs that `before` and `row` know of. None before the baseline's first epoch.
    """
    if not cached_reads.has_epochs(before):
        return None
    after = cached_reads.chart_side(row, "after") if row.id != before.id and cached_reads.has_epochs(row) else None
    return cached_reads.class_names(cached_reads.run(int(before.id))), cached_reads.chart_side(before, "before"), after


def live_chart(records: list[ListedRun]) -> None:
    """The TPR chart on Home of the newest run and its baseline so far; nothing before the first epoch."""
    by_id, newest = {r.id: r for r in records}, records[-1]
    before = newest if pd.isna(newest.baseline_id) else by_id.get(newest.baseline_id, newest)
    found = live_pair(before, newest)
    if found is not None:
        names, before, after = found
        plotly_chart.draw(
            tpr_charts.tpr_figure(tpr_charts.default_kind(len(names)), names, before, after, plotly_chart.palette()),
            key="home_live",
            alt=tpr_charts.describe(names, before, after),
        )


def latest_comparison(frame: pd.DataFrame) -> None:
    """Home's newest finished pair: cautions, verdict and the TPR chart; or what will appear here."""
    pair = cached_reads.latest_pair(frame)
    if pair is None:
        nothing_to_compare()
        return
    c = cached_comparison.comparison(pair.before, pair.after)
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.subheader("The latest comparison", anchor=False)
        navigation.link_compare(pair.before.id, pair.after.id, "Open the comparison", icon=":material/compare_arrows:")
    for caution in c.cautions:
        st.warning(words.message(words.of(caution)), icon=":material/balance:")
    st.markdown(words.plain(words.typographic(words.of(c.verdict))))
    pair_chart(pair, c)


def nothing_to_compare() -> None:
    """Home before the first comparison: what will appear here."""
    with st.container(border=True, key="home_empty"):
        st.markdown(":material/bar_chart: **Nothing to compare yet**")
        st.markdown(
            "The TPR of every class will appear here, hardest class first: gray before, blue after. "
            "The band is the spread, the line the mean. "
            f"Press **{FIRST.label}** to start, or set up your own comparison under New run."
        )


def pair_chart(pair: cached_reads.Pair, c: Comparison) -> None:
    """The TPR chart on Home of a finished pair, with a caption on its runs and marks."""
    names, (before, after) = cached_reads.class_names(pair.before), tpr_series.chart_sides(c)
    kind = tpr_charts.usual_kind(before, after)
    plotly_chart.draw(
        tpr_charts.tpr_figure(kind, names, before, after, plotly_chart.palette()),
        key="home_signature",
        alt=tpr_charts.describe(names, before, after),
    )
    st.caption(
        f"{words.plain(pair.after.name)}, compared with run {pair.before.id}. "
        f"Test split, {count(int(cached_reads.counts(pair.after).support.sum()), 'sample')}. "
        f"{tpr_charts.marks(kind, before)}"
    )


def recent_runs(frame: pd.DataFrame) -> None:
    """The recent runs on Home, one line each."""
    st.subheader("Recent runs", anchor=False)
    if frame.empty:
        st.caption("None yet.")
        return
    for record in frame.sort_values("id", ascending=False).head(RECENT).itertuples():
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key=f"home_run_{record.id}"):
            navigation.link_run(record.id, words.plain(record.name), width=430)
            run_status.badge(record, width=124)
            st.caption(run_facts(record), width="content")
    st.page_link(navigation.RUNS, label="All runs", icon=":material/table_rows:")


def run_facts(record: ListedRun) -> str:
    """Accuracy, spread and age of a recent run on Home in one line."""
    if pd.isna(record.accuracy):
        return numbers.ago(cached_reads.moment(record.created_at))
    return (
        f"accuracy {numbers.percent(record.accuracy)}, spread {numbers.spread(record.tpr_variance)}, "
        f"lowest TPR {numbers.percent(record.tpr_min)}, "
        f"{numbers.ago(cached_reads.moment(record.created_at))}"
    )


def open_when_finished(frame: pd.DataFrame) -> None:
    """Open the comparison once both runs started from Home in this session have succeeded."""
    ids = st.session_state.get("home_started")
    if not ids:
        return
    states = frame[frame["id"].isin(ids)]["status"]
    if (states == "succeeded").sum() == len(ids):
        del st.session_state["home_started"]
        navigation.open_compare(*ids)


def main() -> None:
    """The page Home."""
    every = cached_reads.runs(archived=None)  # archived runs count too: for used seeds and for the submit key
    frame = every[~every["archived"]]
    open_when_finished(every)
    plan = planned_comparison(0)
    mine = first_runs(every, plan)
    busy = mine[mine["status"].isin(BUSY)]
    st.session_state["home_submit_key"] = f"home-{FIRST.key}-{cached_reads.newest_id(every)}"
    introduction()
    start_buttons(busy, next_seed(every, plan), every)
    plan_findings.draw(plan.findings)
    if (left := unfinished_run(mine)) is not None:
        unfinished_line(left)
    if busy.empty:
        latest_comparison(frame)
        recent_runs(frame)
    else:
        shown = every[every["id"].isin({*busy["id"], *busy["baseline_id"].dropna()})].sort_values("id")
        live_runs([int(i) for i in shown["id"]], shown["status"].tolist())


with showing_errors():
    main()
