"""What can be done with a run: pause, resume and stop it, and the next steps from it."""

from __future__ import annotations

import streamlit as st

from core.experiment.states import PAUSE, RESUME, STOP
from core.methods import trains
from pages.components.common import cached_reads, navigation, run_status
from pages.components.common.error_guard import showing_errors
from pages.components.common.prefill import PREFILL, Prefill
from pages.components.run import duplicate
from reporting import provenance
from storage.jobs import queue
from storage.results.runs import RunRow


def ask_for(run_id: int, wanted: str) -> None:
    """Record a request to pause, stop or resume from a run's page; the worker acts on it within a second."""
    with showing_errors():
        queue.ask(cached_reads.database(), run_id, wanted)


def use_tprs(row: RunRow) -> None:
    """The button of a run's page that opens New run with its settings, this run as the baseline and no method selected."""
    st.session_state[PREFILL] = Prefill(row.config, baseline=row.id)
    navigation.open_new(dataset=row.dataset, model=row.model)


def control_buttons(row: RunRow) -> None:
    """The Pause, Resume and Stop buttons of a run's page that apply in the current state."""
    held, pending = run_status.held_by(row), run_status.pending(row)
    able = run_status.requests(row, held)
    if PAUSE in able:
        st.button(
            "Pause", key="run_pause", icon=":material/pause:", on_click=ask_for, args=(row.id, PAUSE), disabled=pending
        )
    if RESUME in able and not provenance.orphaned(row):
        st.button(
            run_status.resume_label(row, held),
            key="run_resume",
            type="primary",
            icon=":material/play_arrow:",
            on_click=ask_for,
            args=(row.id, RESUME),
            help="Continues from the last checkpoint." if trains(row.method) else "Applies the step again.",
        )
    if STOP in able:
        st.button(
            "Stop",
            key="run_stop",
            icon=":material/stop:",
            on_click=ask_for,
            args=(row.id, STOP),
            disabled=pending,
            help="Keeps the metrics recorded so far.",
        )


def next_buttons(row: RunRow) -> None:
    """The buttons of a run's page for what to do next with the run."""
    if row.status == "succeeded":
        if st.button(
            "Use its TPRs",
            key="run_use",
            type="primary" if row.baseline_id is None else "secondary",
            icon=":material/balance:",
            help="Set up a run whose weights come from this run's validation TPRs.",
        ):
            use_tprs(row)
    if row.baseline_id is not None and cached_reads.has_epochs(row):
        if st.button(
            "Compare with its baseline",
            key="run_compare",
            type="primary" if row.status == "succeeded" else "secondary",
            icon=":material/compare_arrows:",
        ):
            navigation.open_compare(row.baseline_id, row.id)
    if st.button("Duplicate", key="run_duplicate", icon=":material/content_copy:", help="New run with these settings."):
        duplicate.duplicate(row)
