"""Home: what this is, the latest comparison, one button, the last runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from core.presets import FIRST
from pages.parts import compared, launch, nav, reads, show, signature, states, status, words
from pages.parts.guard import told

RECENT = 5


def first_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """Runs of the first comparison that are queued, running or paused now, whoever started them."""
    groups = {r.group_sha for r in launch.pair(FIRST.baseline, FIRST.weighted, FIRST.dataset_label)}
    return frame[frame["group_sha"].isin(groups) & frame["status"].isin(reads.BUSY)]


def next_seed(frame: pd.DataFrame) -> int:
    """The first seed that the comparison does not have yet: pressing again adds a replicate instead of repeating one."""
    weighted = launch.pair(FIRST.baseline, FIRST.weighted, FIRST.dataset_label)[1].group_sha
    done = set(frame[(frame["group_sha"] == weighted) & (frame["status"] == "succeeded")]["seed"])
    return next(seed for seed in range(len(done) + 1) if seed not in done)


def start(seed: int) -> None:
    """Queue both runs. The key is the last run id that this page has seen: a second click or tab adds nothing."""
    with told():
        pair = launch.pair(replace(FIRST.baseline, seed=seed), replace(FIRST.weighted, seed=seed), FIRST.dataset_label)
        st.session_state["home_started"] = launch.send(pair, st.session_state["home_submit_key"])


def header(busy: bool, seed: int) -> None:
    """Title, two sentences and the one primary action."""
    st.title("No class left behind")
    st.markdown(
        "A classifier that is right nine times out of ten can still fail one class again and again. Evenly trains a baseline, turns the "
        "true-positive rate (TPR) of every class into weights, trains again, and shows what became even and what it cost.", width=820)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(FIRST.label, key="home_start", type="primary", icon=":material/equalizer:", disabled=busy, on_click=start, args=(seed,))
        what = "A baseline and a weighted run" if seed == 0 else f"Adds seed {seed} to the comparison"
        st.caption("Both runs are on their way" if busy else f"{what}, about {FIRST.seconds} s")


@st.fragment(run_every=1.0)
@told()
def live(ids: list[int], was: list[str]) -> None:
    """Progress and the picture of the runs on their way; a change of state redraws the page."""
    frame = reads.runs(ids=ids).sort_values("id")
    if frame["status"].tolist() != was:
        st.rerun()
    for record in frame.itertuples():
        st.progress(reads.progress(record), text=f"{words.plain(record.name)}: {status.label(record).lower()}, {status.progress_text(record)}")
    rows = [reads.run(i) for i in frame["id"]]
    growing = reads.growing_pair(rows[-1])
    if growing is not None:
        names, before, after = growing
        show.draw(signature.picture(signature.default_kind(len(names)), names, before, after, show.palette()), key="home_live", alt=signature.describe(names, before, after))


def phenomenon(frame: pd.DataFrame) -> None:
    """The signature picture of the newest finished pair, or what will appear."""
    pair = reads.latest_pair(frame)
    if pair is None:
        with st.container(border=True, key="home_empty"):
            st.markdown(":material/bar_chart: **Nothing to compare yet**")
            st.markdown(
                "Here you will see the TPR of every class, hardest class first: grey before, blue after. The band is the spread, the line the mean. "
                f"Press **{FIRST.label}** for the first one, or set up your own under New run.")
        return
    names = reads.class_names(pair.before)
    c = compared.comparison(pair.before, pair.after)
    before, after = states.pictured(c)
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        st.subheader("The latest comparison", anchor=False)
        nav.link_compare(pair.before.id, pair.after.id, "Open the comparison", icon=":material/compare_arrows:")
    st.markdown(words.plain(compared.pretty(c.verdict)))
    kind = signature.usual_kind(before, after)
    show.draw(signature.picture(kind, names, before, after, show.palette()), key="home_signature", alt=signature.describe(names, before, after))
    st.caption(f"{words.plain(pair.after.name)}, against run {pair.before.id}. Test split, {words.count(int(reads.counts(pair.after).support.sum()), 'sample')}. "
               f"{signature.marks(kind, before)}")


def recent(frame: pd.DataFrame) -> None:
    """The last runs, one line each."""
    st.subheader("Recent runs", anchor=False)
    if frame.empty:
        st.caption("None yet.")
        return
    for record in frame.sort_values("id", ascending=False).head(RECENT).itertuples():
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key=f"home_run_{record.id}"):
            nav.link_run(record.id, words.plain(record.name), width=430)
            status.badge(record, width=124)
            st.caption(facts(record), width="content")
    st.page_link(nav.RUNS, label="All runs", icon=":material/table_rows:")


def facts(record: Any) -> str:
    """Accuracy, spread and age of a run in one line."""
    if pd.isna(record.accuracy):
        return words.ago(reads.moment(record.created_at))
    return (f"accuracy {words.percent(record.accuracy)}, spread {words.spread(record.tpr_variance)}, lowest TPR {words.percent(record.tpr_min)}, "
            f"{words.ago(reads.moment(record.created_at))}")


def arrived(frame: pd.DataFrame) -> None:
    """Once both runs that this visitor started have succeeded, go to their comparison."""
    ids = st.session_state.get("home_started")
    if not ids:
        return
    states = frame[frame["id"].isin(ids)]["status"]
    if (states == "succeeded").sum() == len(ids):
        del st.session_state["home_started"]
        nav.open_compare(*ids)
    if states.isin(["failed", "cancelled"]).any():
        del st.session_state["home_started"]


def main() -> None:
    """The page."""
    every = reads.runs(archived=None)  # archived runs keep their seeds, and their ids keep the key apart
    frame = every[~every["archived"]]
    arrived(every)
    busy = first_runs(every)
    st.session_state["home_submit_key"] = f"home-{FIRST.key}-{reads.last_id(every)}"
    header(not busy.empty, next_seed(every))
    if busy.empty:
        phenomenon(frame)
    else:
        shown = every[every["id"].isin({*busy["id"], *busy["baseline_id"].dropna()})].sort_values("id")
        live([int(i) for i in shown["id"]], shown["status"].tolist())
    recent(frame)


with told():
    main()
