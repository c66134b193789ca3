"""More seeds for both runs of a comparison: the button that queues them, and their progress."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.comparison.compare import Comparison
from core.comparison.verdict import ENOUGH_SEEDS, SAME
from core.experiment.states import LIVE
from core.formatting import count, listed
from pages.components.common import cached_reads, navigation, plan_findings, run_status
from pages.components.common.error_guard import showing_errors
from reporting import text
from services import submission
from services.seeds import lacking, next_seeds, on_the_way
from storage.jobs import queue
from storage.results.runs import RunRow

MORE_SEEDS = 2  # per click, once there are ENOUGH_SEEDS


def draw(every: pd.DataFrame, c: Comparison, before: RunRow, after: RunRow) -> None:
    """Offer more seeds for both runs, or show the progress of those queued: few seeds give a wide interval."""
    if pending := on_the_way(every, before, after):
        seed_progress(tuple(pending))
    elif c.noise.kind != SAME and before.status == after.status == "succeeded":
        pairs = len(c.noise.pairs)
        more = ENOUGH_SEEDS - pairs if pairs < ENOUGH_SEEDS else MORE_SEEDS
        wanted = next_seeds(every, before, after, more)
        b, a = (lacking(every, row, wanted) for row in (before, after))
        st.button(
            f"Add {count(more, 'seed')}" + (" to each" if b == a else ""),
            key="compare_seeds",
            icon=":material/add_circle:",
            on_click=add_seeds,
            args=(before, after, wanted, cached_reads.newest_id(every)),
            help=f"Trains {what_trains(before, b, after, a)}. More seeds narrow the interval that separates an effect from seed noise.",
        )
    said_of_added((before.id, after.id))


def what_trains(before: RunRow, of_before: list[int], after: RunRow, of_after: list[int]) -> str:
    """Which run of a comparison is trained with which more seeds; seeds that a run already has are left out."""
    if of_before == of_after:
        return f"both runs with {text.numbered('seed', of_before)}"
    each = ((before, of_before), (after, of_after))
    return listed(f"run {row.id} with {text.numbered('seed', seeds)}" for row, seeds in each if seeds)


def add_seeds(before: RunRow, after: RunRow, wanted: list[int], last: int) -> None:
    """Queue more seeds for both runs of a comparison once. The submit key holds the pair, the seeds and the newest run
    id this view has read.

    Seeds that another view has queued meanwhile are not queued again; the rerun shows their progress.
    """
    st.session_state.pop(navigation.SEEDS_SAID, None)
    with showing_errors():
        every = cached_reads.runs(archived=None)
        if next_seeds(every, before, after, len(wanted)) != wanted:
            return
        key = f"seeds-{before.id}-{after.id}-{'.'.join(map(str, wanted))}-{last}"
        database = cached_reads.database()
        planned = submission.more_seeds(database, every, before, after, wanted)
        queue.submit(database, list(planned.rows), key)
        st.session_state[navigation.SEEDS_SAID] = ((before.id, after.id), planned.findings)


def said_of_added(pair: tuple[int, int]) -> None:
    """What the plan of the seeds added last says. It stays, also while they are trained, until the next click on the button,
    another pair or another page."""
    added_to, findings = st.session_state.get(navigation.SEEDS_SAID, (pair, ()))
    if added_to == pair:
        plan_findings.draw(findings)
    else:
        del st.session_state[navigation.SEEDS_SAID]


@st.fragment(run_every=2.0)
@showing_errors()
def seed_progress(ids: tuple[int, ...]) -> None:
    """Progress of the seeds added to a comparison; reruns the page when one has ended."""
    frame = cached_reads.runs(ids=ids)
    active, records = frame[frame["status"].isin(LIVE)], list(frame.itertuples())
    where = run_status.places(*records)
    st.progress(
        sum(run_status.share_done(r, where) for r in records) / max(len(records), 1),
        text=f"{count(len(active), 'run')} with these settings queued or running; metrics update when they finish",
    )
    if len(active) < len(ids):
        st.rerun()
