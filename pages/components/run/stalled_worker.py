"""A running run whose worker has stalled: it sends no heartbeat, or trains no step. Messages of the run page."""

from __future__ import annotations

import time

import streamlit as st

from reporting.text import message, no_step
from services.launchers.local import has_ended
from storage.jobs.workers import WorkerRow
from storage.results.runs import RunRow

LATE = 15.0  # seconds; heartbeats come every five, later on a busy machine
MORE = "A new worker resumes from the last checkpoint; `make run` starts one automatically."


def warn_of_stalled_worker(row: RunRow, workers: list[WorkerRow]) -> None:
    """Show on a run's page what its stalled worker reports of itself, such as "no step for 12 min"; nothing without
    such a report."""
    for worker in workers:
        quiet = worker.quiet_minutes
        if row.status == "running" and worker.alive and worker.run_id == row.id and quiet is not None:
            again = "If this is unexpected, restart Evenly: the run resumes from its last checkpoint."
            st.warning(f"{message(no_step(quiet))}. {again}", icon=":material/hourglass_disabled:")


def no_heartbeat(row: RunRow, workers: list[WorkerRow], now: float | None = None) -> str | None:
    """The message of a run's page that its worker has stalled and sends no heartbeat, shown instead of an estimate;
    None while it does.

    `now` in Unix seconds.
    """
    if row.status != "running":
        return None
    worker = next((w for w in workers if w.run_id == int(row.id)), None)
    if worker is None:
        return f"No worker is registered for this run. {MORE}"
    silent = max((time.time() if now is None else now) - worker.seen_at.timestamp(), 0.0)
    if worker.stopped_at is not None or has_ended(worker.host, worker.pid):
        return f"Its worker has ended; last heartbeat {silent:.0f} s ago. {MORE}"
    if silent > LATE:
        return (
            f"No heartbeat from its worker for {silent:.0f} s. "
            "If this persists, `make run` replaces the worker automatically, and the run resumes from its last checkpoint."
        )
    return None
