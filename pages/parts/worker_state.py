"""The worker's state at the foot of the sidebar: idle, training, or how to start one."""

from __future__ import annotations

from typing import Any

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from core.errors import EvenlyError
from pages.parts import reads
from pages.parts.words import plain, short

EVERY = 2.0  # seconds; one short query


@st.fragment(run_every=EVERY)
def worker_state() -> None:
    """Redrawn by itself every few seconds; holds no input."""
    with st.container(key="worker_state", gap="xsmall", height="content"):
        try:
            alive = [(w, None if w.run_id is None else reads.run(w.run_id)) for w in reads.workers() if w.alive]
        except (EvenlyError, SQLAlchemyError):
            st.caption(":material/database_off: The database is busy. Trying again.")
            return
        if not alive:
            _absent()
        for worker, training in alive:
            _line(worker, training)


def _absent() -> None:
    st.markdown(":material/power_off: **No worker**")
    st.caption("Runs wait in the queue until one starts: `make run`, or `python worker.py` in a second terminal.")


def _line(worker: Any, training: Any | None) -> None:
    if training is None:
        st.markdown(f":material/check_circle: **Worker idle** on {plain(worker.device)}")
        return
    st.markdown(f":material/model_training: **Training** run {training.id}")
    st.caption(f"{plain(short(training.name, 34))}, epoch {training.last_epoch or 0} of {training.epochs}")
