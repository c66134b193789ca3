"""The worker's state: at the foot of the sidebar always, and on the page itself where runs wait because there is none."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from core.errors import EvenlyError
from pages.components.common import cached_reads, run_status
from reporting.text import message, plain, short
from services.launchers import LAUNCHERS
from storage.jobs.workers import WorkerRow
from storage.results.runs import RunRow

EVERY = 1.0  # seconds, as often as Home and a run's page look, so that all name the same epoch; one short query
START = LAUNCHERS["local"].describe()


@st.fragment(run_every=EVERY)
def worker_state() -> None:
    """Redrawn by itself every few seconds; holds no input."""
    with st.container(key="worker_state", gap="xsmall", height="content"):
        try:
            alive = [(w, None if w.run_id is None else cached_reads.run(w.run_id)) for w in _alive()]
        except (EvenlyError, SQLAlchemyError):
            st.caption(":material/database_off: The database is busy. Trying again.")
            return
        if not alive:
            _absent()
        for worker, training in alive:
            _line(worker, training)


def _alive() -> list[WorkerRow]:
    return [w for w in cached_reads.workers() if w.alive]


def _absent() -> None:
    st.markdown(":material/power_off: **No worker**")
    st.caption(f"Runs wait in the queue until one starts: {START}.")


def notice() -> None:
    """Say on the page that nothing is trained now and how to start a worker; nothing where one is alive. Holds no input."""
    with suppress(EvenlyError, SQLAlchemyError):  # a busy database is told by the sidebar
        if not _alive():
            st.warning(
                f"No worker is running, so runs wait in the queue. Start one: {START}.", icon=":material/power_off:"
            )


def warned(run_id: int) -> None:
    """Say on a run's page what its worker reports amiss, as "no step for 12 min"; nothing where all is well. Holds no input."""
    with suppress(EvenlyError, SQLAlchemyError):
        for worker in _alive():
            if worker.run_id == run_id and worker.warning:
                st.warning(
                    f"{message(worker.warning)}. Where that is not expected, stop and start Evenly again: "
                    "the run goes on from its last checkpoint.",
                    icon=":material/hourglass_disabled:",
                )


@st.fragment(run_every=EVERY)
def live_notice() -> None:
    """The notice on a page that does not redraw itself: it goes as soon as a worker has started."""
    notice()


def _line(worker: WorkerRow, training: RunRow | None) -> None:
    if training is None:
        st.markdown(f":material/check_circle: **Worker idle** on {plain(worker.device)}")
        return
    st.markdown(f":material/model_training: **Training** run {training.id}")
    how_far = run_status.reached(training, {} if worker.at is None else {training.id: worker.at})
    st.caption(", ".join(filter(None, (plain(short(training.name, 34)), how_far))))
    if worker.warning:
        st.caption(f":material/warning: {message(worker.warning)}")
