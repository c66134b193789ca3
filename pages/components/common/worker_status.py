"""The worker's state: always in the sidebar, and on the page where runs stay queued because no worker is running."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from core.errors import EvenlyError
from pages.components.common import cached_reads, run_status
from reporting.text import message, no_step, plain, shortened
from services.launchers import launcher
from storage.jobs.workers import WorkerRow
from storage.results.runs import RunRow

EVERY = 1.0  # seconds, the same as Home and a run's page, so that all show the same epoch; one short query


@st.fragment(run_every=EVERY)
def worker_state() -> None:
    """The worker's state in the sidebar, refreshed every EVERY seconds; contains no input widget."""
    with st.container(key="worker_state", gap="xsmall", height="content"):
        try:
            alive = [(w, None if w.run_id is None else cached_reads.run(w.run_id)) for w in _alive()]
        except (EvenlyError, SQLAlchemyError):
            st.caption(":material/database_off: The database is busy. Trying again.")
            return
        if not alive:
            _no_worker()
        for worker, training in alive:
            _line(worker, training)


def _alive() -> list[WorkerRow]:
    return [w for w in cached_reads.workers() if w.alive]


def _no_worker() -> None:
    st.markdown(":material/power_off: **No worker**")
    st.caption(f"Runs stay queued until one starts: {launcher().describe()}.")


def notice() -> None:
    """Warn on a page that no worker is running, and how to start one; nothing while one is alive. Contains no input widget."""
    with suppress(EvenlyError, SQLAlchemyError):  # the sidebar reports a busy database
        if not _alive():
            st.warning(
                f"No worker is running, so runs stay queued. Start one: {launcher().describe()}.",
                icon=":material/power_off:",
            )


@st.fragment(run_every=EVERY)
def live_notice() -> None:
    """Warn that no worker is running on a page without automatic reruns: the notice disappears once a worker has started."""
    notice()


def _line(worker: WorkerRow, training: RunRow | None) -> None:
    if training is None:
        st.markdown(f":material/check_circle: **Worker idle** on {plain(worker.device)}")
        return
    st.markdown(f":material/model_training: **Training** run {training.id}")
    progress = run_status.reached_epoch(training, {} if worker.at is None else {training.id: worker.at})
    st.caption(", ".join(filter(None, (plain(shortened(training.name, 34)), progress))))
    if worker.quiet_minutes is not None:
        st.caption(f":material/warning: {message(no_step(worker.quiet_minutes))}")
