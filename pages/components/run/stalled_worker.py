"""A run whose worker sends no heartbeat: the message shown instead of an estimate."""

from __future__ import annotations

import os
import platform
import time

from storage.jobs.workers import WorkerRow
from storage.results.runs import RunRow

LATE = 15.0  # seconds; heartbeats come every five, later on a busy machine
MORE = "A new worker resumes from the last checkpoint; `make run` starts one automatically."


def ended(worker: WorkerRow) -> bool:
    """Whether the process of a worker on this machine has ended; False for another machine or container, which cannot be checked."""
    if worker.host != platform.node():
        return False
    try:
        os.kill(worker.pid, 0)  # signal 0 only checks that the process exists
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def words(row: RunRow, workers: list[WorkerRow], now: float | None = None) -> str | None:
    """Why a running run has no estimate, or None if its worker is alive. `now` in Unix seconds."""
    if row.status != "running":
        return None
    worker = next((w for w in workers if w.run_id == int(row.id)), None)
    if worker is None:
        return f"No worker is registered for this run. {MORE}"
    silent = max((time.time() if now is None else now) - worker.seen_at.timestamp(), 0.0)
    if worker.stopped_at is not None or ended(worker):
        return f"Its worker has ended; last heartbeat {silent:.0f} s ago. {MORE}"
    if silent > LATE:
        return (
            f"No heartbeat from its worker for {silent:.0f} s. "
            "If this persists, `make run` replaces the worker automatically, and the run resumes from its last checkpoint."
        )
    return None
