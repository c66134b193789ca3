"""The workers that have registered. A row is one life of one worker; a slot that is served again gets a new row.

`beat` is a counter: who wants to know whether a worker moves compares two readings by a clock of its own. `seen_at` is
wall-clock time for people to read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, and_, delete, func, insert, select, update

from storage.engine import reading, write
from storage.events import moment
from storage.tables import run, worker

SILENT_SECONDS = 30.0
KEPT_ROWS = 200
IDLE = "idle"  # what a worker says that has nothing to say


@dataclass(frozen=True)
class WorkerRow:
    """A worker as last seen. `state` is stopped, idle or training, with what its beat said of that: "training (no step for
    12 min)". `run_id` is the run it trains.

    `alive` is a guess for display (not stopped, seen within 30 s by the wall clock); decisions go by the lock file.
    """

    id: int
    slot: int
    device: str
    pid: int
    host: str
    state: str
    run_id: int | None
    beat: int
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None
    alive: bool


def register_worker(engine: Engine, slot: int, device: str, pid: int, host: str) -> int:
    """A new row for the worker of a slot; returns its id. The caller holds the slot's lock, so earlier ones are dead."""

    def work(connection: Connection) -> int:
        now = time.time()
        earlier = and_(worker.c.slot == slot, worker.c.host == host, worker.c.stopped_at.is_(None))
        connection.execute(update(worker).where(earlier).values(stopped_at=now, state="stopped"))
        row = insert(worker).values(slot=slot, device=device, pid=pid, host=host, state=IDLE, started_at=now, seen_at=now)
        made = connection.execute(row.returning(worker.c.id)).scalar_one()
        connection.execute(delete(worker).where(worker.c.id < made - KEPT_ROWS, worker.c.stopped_at.is_not(None)))
        return made

    return write(engine, work)


def beat(engine: Engine, worker_id: int, state: str | None = None, run_id: int | None = None) -> None:
    """One sign of life. `state` is IDLE or what to say of the work; the run shown is always the one claimed, `run_id` is not needed."""
    values = {"beat": worker.c.beat + 1, "seen_at": time.time()} | ({} if state is None else {"state": state})
    write(engine, lambda connection: connection.execute(update(worker).where(worker.c.id == worker_id).values(values)))


def stop_worker(engine: Engine, worker_id: int) -> None:
    """The worker leaves; a run it should still have is free for rescue."""
    values = {"stopped_at": time.time(), "state": "stopped"}
    write(engine, lambda connection: connection.execute(update(worker).where(worker.c.id == worker_id).values(values)))


def worker_rows(connection: Connection, *, every: bool = False) -> list[WorkerRow]:
    """Rows with the run each one trains, by slot; only the newest of a slot unless `every`."""
    busy = select(func.min(run.c.id)).where(run.c.worker_id == worker.c.id, run.c.status == "running").scalar_subquery()
    query = select(worker, busy.label("run_id")).order_by(worker.c.slot, worker.c.host, worker.c.id)
    if not every:
        newest = select(func.max(worker.c.id)).group_by(worker.c.slot, worker.c.host)
        query = query.where(worker.c.id.in_(newest))
    return [_row(r) for r in connection.execute(query).mappings()]


def _row(r: dict) -> WorkerRow:
    stopped, trains = r["stopped_at"] is not None, r["run_id"] is not None
    said = "" if r["state"] == IDLE else f" ({r['state']})"
    state = "stopped" if stopped else f"training{said}" if trains else IDLE
    alive = not stopped and abs(time.time() - r["seen_at"]) < SILENT_SECONDS  # abs: the clock may have been put back
    return WorkerRow(
        r["id"], r["slot"], r["device"], r["pid"], r["host"], state, r["run_id"], r["beat"],
        moment(r["started_at"]), moment(r["seen_at"]), moment(r["stopped_at"]), alive,
    )


def workers(engine: Engine) -> list[WorkerRow]:
    """The newest worker of every slot, dead or alive."""
    with reading(engine) as connection:
        return worker_rows(connection)
