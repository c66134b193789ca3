"""The registered workers. A row is one process of a worker; a slot that is served again gets a new row.

`beat` is a heartbeat counter: to see whether a worker is alive, compare two readings by your own clock. `seen_at` is
wall-clock time for display.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection, Engine, RowMapping, and_, delete, func, insert, select, update

from storage.db.connection import reading, write
from storage.db.schema import run, worker
from storage.jobs.events import moment

SILENT_SECONDS = 30.0
KEPT_ROWS = 200
IDLE = "idle"  # the state of a worker without a run
LONGEST = 40  # characters of `worker.state`
_PLACE = re.compile(r"(\d+)/(\d+)/(\d+)/(\d+)/(\d*)")
_QUIET = re.compile(r"no step for (\d+) min")


@dataclass(frozen=True)
class Place:
    """The position of a run in an epoch (counted from 1): `step` of `steps` are done; then it is evaluated.

    `pace` is the number of seconds that the steps of a whole epoch take, None while unknown.
    """

    run_id: int
    epoch: int
    step: int
    steps: int
    pace: float | None = None

    @property
    def share(self) -> float:
        """Fraction of the epoch's steps done, 0 to 1."""
        return min(self.step / self.steps, 1.0) if self.steps else 0.0


def state_text(place: Place | None, quiet_minutes: int | None) -> str:
    """What `beat` stores of a worker with a run: the run's position, and for how long it has finished no step.

    A position that does not fit is left out.
    """
    where = (
        ""
        if place is None
        else f"{place.run_id}/{place.epoch}/{place.step}/{place.steps}/"
        + ("" if place.pace is None else f"{place.pace:.0f}")
    )
    quiet = "" if quiet_minutes is None else f"no step for {quiet_minutes} min"
    text = "; ".join(filter(None, (where, quiet)))
    return (text if len(text) <= LONGEST else quiet) or IDLE


def _parsed(text: str) -> tuple[Place | None, int | None]:
    """A text of `state_text`, parsed."""
    where, quiet = _PLACE.match(text), _QUIET.search(text)
    minutes = None if quiet is None else int(quiet[1])
    if where is None:
        return None, minutes
    *whole, pace = where.groups()
    return Place(*map(int, whole), float(pace) if pace else None), minutes


@dataclass(frozen=True)
class WorkerRow:
    """A worker as last seen. `state` is stopped, idle or training. `run_id` is the run it trains; as of its last heartbeat,
    `at` is the run's position in its epoch and `quiet_minutes` for how long it has finished no step, None where not reported.

    `alive` is a guess for display (not stopped, seen within 30 s by the wall clock); decisions use the lock file.
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
    at: Place | None = None
    quiet_minutes: int | None = None


def register_worker(engine: Engine, slot: int, device: str, pid: int, host: str) -> int:
    """A new row for the worker of a slot; returns its id. The caller holds the slot's lock, so earlier ones are dead."""

    def work(connection: Connection) -> int:
        now = time.time()
        earlier = and_(worker.c.slot == slot, worker.c.host == host, worker.c.stopped_at.is_(None))
        connection.execute(update(worker).where(earlier).values(stopped_at=now, state="stopped"))
        row = insert(worker).values(
            slot=slot, device=device, pid=pid, host=host, state=IDLE, started_at=now, seen_at=now
        )
        made = connection.execute(row.returning(worker.c.id)).scalar_one()
        connection.execute(delete(worker).where(worker.c.id < made - KEPT_ROWS, worker.c.stopped_at.is_not(None)))
        return made

    return write(engine, work)


def beat(engine: Engine, worker_id: int, state: str | None = None) -> None:
    """One heartbeat. `state` is IDLE or a text of `state_text`."""
    values = {"beat": worker.c.beat + 1, "seen_at": time.time()} | ({} if state is None else {"state": state})
    write(engine, lambda connection: connection.execute(update(worker).where(worker.c.id == worker_id).values(values)))


def stop_worker(engine: Engine, worker_id: int) -> None:
    """Record that the worker has stopped; a run it still holds can be rescued."""
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


def _row(r: RowMapping) -> WorkerRow:
    stopped, trains = r["stopped_at"] is not None, r["run_id"] is not None
    at, quiet_minutes = _parsed(r["state"]) if trains and not stopped else (None, None)
    if at is not None and at.run_id != r["run_id"]:  # of the previous run
        at = None
    state = "stopped" if stopped else "training" if trains else IDLE
    alive = not stopped and abs(time.time() - r["seen_at"]) < SILENT_SECONDS  # abs: the clock may have been set back
    return WorkerRow(
        r["id"],
        r["slot"],
        r["device"],
        r["pid"],
        r["host"],
        state,
        r["run_id"],
        r["beat"],
        moment(r["started_at"]),
        moment(r["seen_at"]),
        moment(r["stopped_at"]),
        alive,
        at,
        quiet_minutes,
    )


def places(engine: Engine) -> dict[int, Place]:
    """Run -> its position in its epoch, for runs whose live workers have reported it."""
    return {w.run_id: w.at for w in newest(engine) if w.alive and w.at is not None}


class Training(Protocol):
    """The columns of a run that its position in an epoch is checked against."""

    @property
    def id(self) -> int: ...
    @property
    def status(self) -> str: ...
    @property
    def epochs(self) -> int: ...
    @property
    def last_epoch(self) -> int: ...


def position_in_epoch(row: Training, positions: Mapping[int, Place]) -> Place | None:
    """The position of a run in the epoch after its last recorded one; None if it is not running or its worker has not reported it.

    `positions` as from `places`.
    """
    place = positions.get(int(row.id)) if row.status == "running" else None
    return place if place is not None and place.epoch == int(row.last_epoch) + 1 <= int(row.epochs) else None


def newest(engine: Engine) -> list[WorkerRow]:
    """The newest worker of every slot, dead or alive."""
    with reading(engine) as connection:
        return worker_rows(connection)
