"""Waiting for runs: shows progress, trains in this process if no worker is running, handles Ctrl-C."""

from __future__ import annotations

import signal
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Self

from commands import progress
from core.errors import EvenlyError
from core.experiment.states import LIVE, STATES
from core.formatting import listed

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from storage.results.runs import RunRow


GOES_ON = {"queued": "`python cli.py worker --drain` trains it", "running": "its worker continues"}  # by state


class Stop:
    """While entered, Ctrl-C and SIGTERM request a clean stop: the current run is saved and requeued first.

    A second signal interrupts at once; the next worker then rescues the run.
    """

    def __init__(self) -> None:
        self.asked, self.worker = False, None

    def __call__(self, signum: int, _: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if self.worker is not None:
            self.worker.orders = "stop"

    def __enter__(self) -> Self:
        self.before = {signum: signal.signal(signum, self) for signum in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self.before.items():
            signal.signal(signum, handler)


def wait_for(engine: Engine, ids: list[int], *, quiet: bool) -> list[RunRow]:
    """The runs, once all of them have succeeded. If no worker is running, this process is the worker until then.

    Raises EvenlyError if one has not succeeded, if all that are left wait for a paused run, or if interrupted: a run in
    training here is then requeued.
    """
    from filelock import Timeout

    from storage.jobs.change_stamp import statuses as statuses_of
    from storage.jobs.waiting import waiting_runs
    from storage.results import get_run
    from work.worker import Worker

    stop = Stop()

    def over() -> bool:
        statuses = statuses_of(engine, ids)
        on = {i for i in ids if statuses.get(i) in LIVE}
        return stop.asked or on <= {i for i, waiting in waiting_runs(engine, on).items() if waiting.paused}

    with stop, nullcontext() if quiet else progress.watching(engine, ids):
        while not over():
            try:
                with Worker() as stop.worker:
                    stop.worker.loop(until=over)
            except Timeout:  # another worker is running: it trains the runs
                time.sleep(0.2)
    rows = [get_run(engine, i) for i in ids]
    check_succeeded(engine, rows, interrupted=stop.asked)
    return rows


def check_succeeded(engine: Engine, rows: list[RunRow], *, interrupted: bool) -> None:
    """Raise EvenlyError unless all runs have succeeded: what became of the first that has not."""
    from storage.jobs.waiting import waiting_runs

    missed = [r for r in rows if r.status != "succeeded"]
    if not missed:
        return
    first = missed[0]
    if interrupted:
        raise EvenlyError("interrupted; " + "; ".join(left_as(missed)))
    waiting = waiting_runs(engine, [first.id]).get(first.id)
    if waiting is not None and waiting.paused:
        raise EvenlyError(
            f"run {first.id} waits for run {waiting.paused}, which is paused; "
            f"resume run {waiting.paused}, and run {first.id} starts after it"
        )
    why = f": {first.error}" if first.error else ""
    more = f" ({len(missed) - 1} more did not succeed either)" if len(missed) > 1 else ""
    raise EvenlyError(f"run {first.id} {STATES[first.status].clause}{why}{more}")


def left_as(rows: list[RunRow]) -> list[str]:
    """The status of runs after an interrupted wait, and what to do next."""
    out = []
    for state in dict.fromkeys(STATES[r.status] for r in rows):
        ids = [str(r.id) for r in rows if r.status == state.key]
        out.append(f"run {listed(ids, len(ids))}: " + ", ".join(filter(None, (state.word, GOES_ON.get(state.key)))))
    return out
