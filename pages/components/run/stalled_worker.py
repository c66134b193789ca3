"""A run that is on while its worker gives no sign of life: what the state says then, instead of an estimate."""

from __future__ import annotations

import os
import platform
import time

from storage.jobs.workers import WorkerRow
from storage.results.runs import RunRow

LATE = 15.0  # seconds; a worker gives a sign every five, a busy machine makes it late
MORE = "A new worker goes on from the last checkpoint; `make run` starts one by itself."


def ended(worker: WorkerRow) -> bool:
    """Whether the process of a worker of this machine is gone. Of another machine, or another container, nothing is known."""
    if worker.host != platform.node():
        return False
    try:
        os.kill(worker.pid, 0)  # signal 0 asks and sends nothing
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def words(row: RunRow, workers: list[WorkerRow], now: float | None = None) -> str | None:
    """Why no estimate can be given of a run that is on, or None where its worker lives. `now` in Unix seconds."""
    if row.status != "running":
        return None
    worker = next((w for w in workers if w.run_id == int(row.id)), None)
    if worker is None:
        return f"Its worker is gone. {MORE}"
    silent = max((time.time() if now is None else now) - worker.seen_at.timestamp(), 0.0)
    if worker.stopped_at is not None or ended(worker):
        return f"Its worker has ended, {silent:.0f} s after its last sign of life. {MORE}"
    if silent > LATE:
        return (
            f"No sign of life from its worker for {silent:.0f} s. "
            "If it stays so, `make run` replaces it by itself, and the run goes on from its last checkpoint."
        )
    return None
