"""The queue. Every change of a run's status is here, each in one transaction and each with a line in the run's log.

Two columns, two writers: `status` is the state of a run, written by its worker; `wanted` is a person's request for a
running run, written by a page and carried out by the worker. Claiming increments the run's token; every later write of
the worker carries the token it was given, so a worker that was declared dead can no longer write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, Update, and_, exists, func, insert, or_, select, update

from core.experiment.config import RunConfig, from_dict
from core.experiment.states import ENDED, LEFT, REQUESTS, RESUME, STATES, UNSUCCESSFUL, State
from storage.db.connection import reading, strict_json, write
from storage.db.errors import StorageError
from storage.db.schema import detail, run
from storage.jobs.events import log_event
from storage.jobs.waiting import Requested, unfinished_baselines
from storage.jobs.workers import WorkerRow, worker_rows

ATTEMPTS = 3  # a run fails after its worker has died this often without an epoch recorded in between
# The beginning of the error of a run that waited for its baseline and ended as this did. It tells such a run from one
# that a person stopped; only the beginning, because earlier versions worded the rest differently.
BASELINE_ENDED = "its baseline, run {}, "


class UnknownRunError(StorageError):
    """No run has this id."""

    def __init__(self, run_id: int) -> None:
        super().__init__(f"run {run_id} not found; it was deleted, or no run has this number")


class Lost(StorageError):  # noqa: N818 - the claim is lost; the worker stops at once without a message
    """This claim is over: the run was rescued, finished or deleted, and nothing was written."""


@dataclass(frozen=True)
class NewRun:
    """A run to be queued. `baseline` is the id of an existing run, `baseline_index` the index of one in the same list."""

    config: RunConfig
    name: str
    group_sha: str
    baseline: int | None = None
    baseline_index: int | None = None
    tags: str = ""


@dataclass(frozen=True)
class Claim:
    """A worker's right to a run, for as long as the run's token is this one."""

    run_id: int
    token: int
    attempt: int
    config: RunConfig
    baseline_id: int | None


# -- submitting --------------------------------------------------------------------------------------------------


def submit(engine: Engine, runs: list[NewRun], submit_key: str | None = None) -> list[int]:
    """Queue the runs, all or none; returns their ids in order. A key that was used before adds nothing and returns the same ids."""
    for place, new in enumerate(runs):
        _check_new(new, place)

    def work(connection: Connection) -> list[int]:
        if submit_key is not None and (made := _submitted(connection, submit_key)):
            return made
        ids: list[int] = []
        for place, new in enumerate(runs):
            baseline = ids[new.baseline_index] if new.baseline_index is not None else new.baseline
            ids.append(_insert(connection, new, baseline, submit_key, place))
        return ids

    return write(engine, work)


def _check_new(new: NewRun, place: int) -> None:
    if new.baseline is not None and new.baseline_index is not None:
        raise StorageError(f"run {new.name!r} names two baselines; give baseline or baseline_index")
    if new.baseline_index is not None and not 0 <= new.baseline_index < place:
        raise StorageError(
            f"baseline_index of run {new.name!r} is {new.baseline_index}, expected the index of an earlier run in the list"
        )
    if new.config.epochs < 1:
        raise StorageError(f"epochs of run {new.name!r} is {new.config.epochs}, expected at least 1")
    try:
        strict_json(new.config.stored())
    except (TypeError, ValueError) as error:
        raise StorageError(f"the config of run {new.name!r} cannot be stored: {error}") from None


def _submitted(connection: Connection, submit_key: str) -> list[int]:
    return list(connection.scalars(select(run.c.id).where(run.c.submit_key == submit_key).order_by(run.c.submit_index)))


def _insert(connection: Connection, new: NewRun, baseline: int | None, submit_key: str | None, place: int) -> int:
    if baseline is not None and connection.scalar(select(run.c.id).where(run.c.id == baseline)) is None:
        raise StorageError(f"baseline run {baseline} does not exist; choose one of the runs in the list")
    config = new.config
    row = insert(run).values(
        status="queued",
        created_at=time.time(),
        name=new.name,
        dataset=config.dataset,
        model=config.model,
        method=config.method,
        seed=config.seed,
        epochs=config.epochs,
        config_sha=config.sha(),
        group_sha=new.group_sha,
        baseline_id=baseline,
        tags=new.tags,
        submit_key=submit_key,
        submit_index=None if submit_key is None else place,
    )
    run_id = connection.execute(row.returning(run.c.id)).scalar_one()
    connection.execute(insert(detail).values(run_id=run_id, config=config.stored()))
    log_event(connection, run_id, "queued", "submitted")
    return run_id


# -- the worker's side -------------------------------------------------------------------------------------------


def next_run(only: Sequence[int] | None = None) -> ColumnElement[int]:
    """The oldest queued run (of `only`, if given) whose baseline, if it has one, has succeeded.

    Other databases skip rows being claimed.
    """
    baseline = run.alias("baseline")
    ready = exists().where(baseline.c.id == run.c.baseline_id, baseline.c.status == "succeeded")
    free = select(run.c.id).where(run.c.status == "queued", or_(run.c.baseline_id.is_(None), ready))
    if only is not None:
        free = free.where(run.c.id.in_(only))
    return free.order_by(run.c.id).limit(1).with_for_update(skip_locked=True)


def claim_statement(worker_id: int, device: str, now: float, only: Sequence[int] | None = None) -> Update:
    """The claim as one statement: find the next run and claim it in a single step."""
    return (
        update(run)
        .where(run.c.id == next_run(only).scalar_subquery(), run.c.status == "queued")
        .values(
            status="running",
            wanted=RESUME,
            worker_id=worker_id,
            device=device,
            token=run.c.token + 1,
            attempt=run.c.attempt + 1,
            started_at=func.coalesce(run.c.started_at, now),
            finished_at=None,
            error=None,
        )
        .returning(run.c.id, run.c.token, run.c.attempt, run.c.baseline_id)
    )


def claim(engine: Engine, worker_id: int, device: str, only: Sequence[int] | None = None) -> Claim | None:
    """Claim the next run for this worker (of the ids in `only`, if given); None if no run can start. Runs whose baseline
    has failed or was stopped end here in the same way."""
    with reading(engine) as connection:  # a worker polls often: take the write lock only if something is queued
        if connection.scalar(select(run.c.id).where(run.c.status == "queued").limit(1)) is None:
            return None

    def work(connection: Connection) -> Claim | None:
        _follow_baselines(connection)
        row = connection.execute(claim_statement(worker_id, device, time.time(), only)).one_or_none()
        if row is None:
            return None
        log_event(connection, row.id, "running", f"attempt {row.attempt}: worker {worker_id} on {device}")
        config = connection.scalar(select(detail.c.config).where(detail.c.run_id == row.id))
        return Claim(row.id, row.token, row.attempt, from_dict(config), row.baseline_id)

    return write(engine, work)


def _follow_baselines(connection: Connection) -> None:
    """End queued runs whose baseline has failed or was stopped in the same way, and runs that wait for these in turn."""
    baseline = run.alias("baseline")
    waiting = (
        select(run.c.id, baseline.c.id.label("baseline"), baseline.c.status)
        .join(baseline, baseline.c.id == run.c.baseline_id)
        .where(run.c.status == "queued", baseline.c.status.in_(UNSUCCESSFUL))
    )
    while orphans := connection.execute(waiting).all():
        for orphan in orphans:
            reason = _with_baseline(orphan.baseline, STATES[orphan.status])
            connection.execute(_leave(orphan.id, orphan.status, reason).where(run.c.status == "queued"))
            log_event(connection, orphan.id, orphan.status, reason)


def _with_baseline(baseline: int, state: State) -> str:
    """The error of a run that ends in this state because its baseline did."""
    fix = "; fix the error in its log, then resume, which requeues both" if state.error else ""
    return f"{BASELINE_ENDED.format(baseline)}{state.clause}{fix}"


def fence(claim: Claim) -> ColumnElement[bool]:
    """The condition of every write of a worker: the run is still running and still claimed by this worker."""
    return and_(run.c.id == claim.run_id, run.c.token == claim.token, run.c.status == "running")


def hold(connection: Connection, claim: Claim) -> None:
    """Raise Lost unless the claim still holds; within a writing transaction it then holds until the end."""
    if connection.scalar(select(run.c.id).where(fence(claim))) is None:
        raise Lost(f"run {claim.run_id} is no longer claimed by this worker (token {claim.token})")


def note(engine: Engine, claim: Claim, kind: str, text: str) -> None:
    """Add a line of the worker to its run's log. Raises Lost, and writes nothing, if the claim has ended."""

    def work(connection: Connection) -> None:
        hold(connection, claim)
        log_event(connection, claim.run_id, kind, text)

    write(engine, work)


def wanted(engine: Engine, claim: Claim) -> str:
    """The request for the worker's run: run, pause or cancel; or "lost" if the worker no longer holds the claim."""
    with reading(engine) as connection:
        return connection.scalar(select(run.c.wanted).where(fence(claim))) or "lost"


def finish(engine: Engine, claim: Claim, status: str, error: str | None = None) -> bool:
    """Set the run to succeeded, failed, cancelled or paused. False, and nothing written, if the claim has ended."""
    if status not in LEFT:
        raise StorageError(f"a run cannot be finished as {status!r}; expected one of {', '.join(LEFT)}")

    def work(connection: Connection) -> bool:
        if connection.execute(_leave(claim.run_id, status, error).where(fence(claim))).rowcount == 0:
            return False
        log_event(connection, claim.run_id, status, error or "by its worker")
        _follow_baselines(connection)
        return True

    return write(engine, work)


def progressed(engine: Engine, claim: Claim) -> None:
    """The run has got further than any earlier attempt: reset the count of deaths. Does nothing if the claim has ended."""
    reset = update(run).where(fence(claim), run.c.attempt > 1).values(attempt=1)
    write(engine, lambda connection: connection.execute(reset))


def release(engine: Engine, claim: Claim) -> bool:
    """Requeue an unfinished run because its worker must exit (or pause or cancel it, if requested); the attempt does not count."""

    def work(connection: Connection) -> bool:
        requested = connection.scalar(select(run.c.wanted).where(fence(claim)))
        if requested is None:
            return False
        status = REQUESTS[requested].leads_to
        connection.execute(_leave(claim.run_id, status, None).where(fence(claim)).values(attempt=run.c.attempt - 1))
        log_event(connection, claim.run_id, status, "its worker was stopped")
        _follow_baselines(connection)
        return True

    return write(engine, work)


def _leave(run_id: int, status: str, error: str | None) -> Update:
    ended = time.time() if status in ENDED else None
    return (
        update(run)
        .where(run.c.id == run_id)
        .values(status=status, wanted=RESUME, worker_id=None, finished_at=ended, error=error)
    )


def rescue(engine: Engine, alive: Callable[[WorkerRow], bool]) -> list[int]:
    """Take the runs of dead workers from them; returns their ids. `alive` is called once per worker that has not stopped.

    A rescued run is requeued; after three deaths without an epoch in between (`progressed`) it fails; one that a person
    asked to pause or cancel becomes paused or cancelled. If its worker finishes at the same moment, the first commit wins.
    """
    with reading(engine) as connection:
        owners = {w.id: w for w in worker_rows(connection, every=True)}
        held = connection.execute(select(run.c.id, run.c.token, run.c.worker_id).where(run.c.status == "running")).all()
    dead = {None}
    for worker_id in {row.worker_id for row in held} - dead:
        owner = owners.get(worker_id)
        if owner is None or owner.stopped_at is not None or not alive(owner):
            dead.add(worker_id)
    lost = [row for row in held if row.worker_id in dead]
    return write(engine, lambda connection: [row.id for row in lost if _rescue_one(connection, *row)]) if lost else []


def _rescue_one(connection: Connection, run_id: int, token: int, worker_id: int | None) -> bool:
    still = and_(run.c.id == run_id, run.c.token == token, run.c.status == "running")
    now = connection.execute(select(run.c.attempt, run.c.wanted).where(still)).one_or_none()
    if now is None:  # finished or rescued by another process in the meantime
        return False
    status, error = REQUESTS[now.wanted].leads_to, None
    if status == "queued" and now.attempt >= ATTEMPTS:
        status, error = (
            "failed",
            f"worker died {now.attempt} times without an epoch in between; check its memory and its log, then resume",
        )
    connection.execute(_leave(run_id, status, error))
    log_event(connection, run_id, status, error or f"worker {worker_id} died in attempt {now.attempt}")
    _follow_baselines(connection)
    return True


# -- requests by people ---------------------------------------------------------------------------------------------


def ask(engine: Engine, run_id: int, request: str) -> str:
    """A person's request: run (resume), pause or cancel. Returns the status, "running" until the worker has carried it out.

    Resuming a run also resumes the baseline that it waits for, and the runs that were stopped or failed only because of this one.
    Raises StorageError for an unknown run or request, and for one that the run's status no longer allows.
    """
    if request not in REQUESTS:
        raise StorageError(f"request {request!r} for run {run_id}, expected one of {', '.join(REQUESTS.keys)}")

    def work(connection: Connection) -> str:
        row = connection.execute(select(run.c.id, run.c.status, run.c.wanted).where(run.c.id == run_id)).one_or_none()
        if row is None:
            raise UnknownRunError(run_id)
        status = _carried_out(connection, Requested(*row), request)
        if request == RESUME:
            _take_along(connection, run_id)
        elif status == "cancelled":
            _follow_baselines(connection)
        return status

    return write(engine, work)


def _carried_out(connection: Connection, row: Requested, request: str) -> str:
    """Carry out or store the request for this run alone; returns its status then."""
    state, asked = STATES[row.status], REQUESTS[request]
    if state.key == "running":
        return _want(connection, row.id, row.wanted, request)
    if state.key == asked.leads_to:
        return state.key
    if request not in state.requests:
        instead = "resume it to continue" if state.resume else "start another run with its settings to train again"
        raise StorageError(f"run {row.id} {state.clause}, so it cannot be {asked.done}; {instead}")
    return _at_once(connection, row.id, asked.leads_to)


def _take_along(connection: Connection, run_id: int) -> None:
    """Resume with this run the chain of baselines it waits for, and all runs that ended only because one of these did."""
    resumed = [run_id]
    for row in unfinished_baselines(connection, run.c.id == run_id).get(run_id, ()):
        _carried_out(connection, row, RESUME)
        resumed.append(row.id)
    for baseline_id in resumed:
        ended = run.c.error.startswith(BASELINE_ENDED.format(baseline_id))
        for follower in connection.scalars(
            select(run.c.id).where(run.c.baseline_id == baseline_id, run.c.status.in_(UNSUCCESSFUL), ended)
        ).all():
            _at_once(connection, follower, "queued")
            resumed.append(follower)  # and those that waited for it in turn


def _want(connection: Connection, run_id: int, before: str, request: str) -> str:
    if before != request:
        connection.execute(update(run).where(run.c.id == run_id).values(wanted=request))
        log_event(connection, run_id, "wanted", f"{REQUESTS[request].word} requested")
    return "running"


def _at_once(connection: Connection, run_id: int, status: str) -> str:
    change = _leave(run_id, status, None)
    connection.execute(change.values(attempt=0) if status == "queued" else change)
    log_event(connection, run_id, status, "requested by a person")
    return status
