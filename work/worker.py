"""The worker of a slot: claims a run, trains it, records it; survives any error in a run."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib import import_module
from typing import Self, TypeVar

from filelock import FileLock, Timeout

from core.errors import EvenlyError
from core.training import host
from reporting.text import no_step
from storage import results
from storage.db.connection import open_database
from storage.db.data_folder import settle
from storage.db.errors import Unavailable
from storage.db.migrate import upgrade
from storage.db.paths import data_root, lock_folder
from storage.jobs import queue, workers
from storage.jobs.workers import state_text
from work import liveness
from work.liveness import NoProgress, StepPosition, beat_path
from work.locks import ALREADY_ON, PROBED_SECONDS, REFUSED, lock_path, taken
from work.process_group import on_signals

host.tune()  # before anything imports torch

T = TypeVar("T")
log = logging.getLogger("evenly.worker")
POLL_SECONDS = 0.2  # between checks of an empty queue
STEP_SECONDS = 1.0  # between two readings of a run's position in its epoch
RESCUE_SECONDS = 30.0


class Worker:
    """One slot: a lock, a row in the database, two heartbeats (a file for its parent, the row for people), and the loop."""

    def __init__(self, slot: int = 0, only: Sequence[int] | None = None, patience: float = 0.0) -> None:
        """`only`: the runs it may claim; it then runs beside the worker of a device instead of being one.

        `patience`: seconds to wait for the slot's lock, for a caller that does not retry.
        """
        self.only, self.patience = only, patience
        self.slot, self.root = slot, data_root()
        self.orders: str | None = None  # "stop" after SIGTERM
        self.claim: queue.Claim | None = None  # the current run
        self.looks, self.no_progress, self.position = 0, NoProgress(), StepPosition()
        self._quiet = threading.Event()
        self._held = ExitStack()  # of locks
        self.id: int | None = None  # of its row, once it has one

    def __enter__(self) -> Self:
        """Take the slot's lock (filelock.Timeout if another has it), migrate, register, rescue, start the heartbeats."""
        self.locks = lock_folder()
        # The first shows which of the database's workers are alive. The second keeps workers of two databases from using
        # one data folder at the same time; if the database is in the data folder, both are the same file.
        wanted = dict.fromkeys(lock_path(folder, self.slot) for folder in (self.locks, self.root / "locks"))
        with self._held:
            for path in wanted:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._held.enter_context(FileLock(path, timeout=self.patience))
            try:
                self._set_up()
            except BaseException:
                self._leave()
                raise
            self._held = self._held.pop_all()
        return self

    def _set_up(self) -> None:
        self._in_thread(self._beat)  # first: what follows may take a while on a slow disk or a locked database
        self.engine = open_database(role="worker")
        self._patiently(lambda: upgrade(self.engine))
        self._patiently(lambda: settle(self.engine))
        from core.training.device import (
            choose,  # torch is imported here, after the lock, so that a second worker is refused at once
        )

        self.device = choose("auto", self.slot if self.only is None else None)
        register = (self.engine, self.slot, self.device.name, os.getpid(), platform.node())
        self.id = self._patiently(lambda: workers.register_worker(*register))
        self._patiently(self.rescue)
        self._in_thread(self._report)  # apart from _beat, which a locked database must not delay
        self._in_thread(self._report_steps, STEP_SECONDS)

    def __exit__(self, *_: object) -> None:
        with self._held:
            self._leave()

    def _leave(self) -> None:
        """Stop the heartbeats, and record it in the database if registered."""
        self._quiet.set()
        if self.id is None:
            return
        try:
            workers.stop_worker(self.engine, self.id)
        except Unavailable as error:
            log.warning("%s", error)

    def _patiently(self, work: Callable[[], T]) -> T:
        """`work()`, retried every second while the database is locked or full and no stop is requested."""
        while True:
            try:
                return work()
            except Unavailable as error:
                if self.orders:
                    raise
                log.warning("waiting: %s", error)
                time.sleep(1)

    def _in_thread(self, work: Callable[[], None], seconds: float | None = None) -> None:
        def repeatedly() -> None:
            while not self._quiet.wait(seconds or liveness.BEAT_SECONDS):
                work()

        threading.Thread(target=repeatedly, daemon=True, name=work.__name__).start()

    def _beat(self) -> None:
        """Touch the heartbeat file, unless the current run hangs."""
        self.no_progress.beat(self.looks, self.claim is not None)
        if self.no_progress.seconds >= liveness.HUNG_SECONDS:
            return
        try:
            beat_path(self.locks, self.slot).touch()
        except OSError as error:
            log.warning("heartbeat not sent: %s", error)

    def _report(self) -> None:
        """Record the heartbeat in the database, and a warning if the run has made no progress for long."""
        claim, minutes, news = self.claim, self.no_progress.minutes, self.no_progress.news()
        try:
            workers.beat(self.engine, self.id, state_text(self.position.place, minutes))
            if claim is not None and news is not None:
                said = no_step(news)
                log.warning("run %s: %s", claim.run_id, said)
                queue.note(
                    self.engine,
                    claim,
                    "warning",
                    f"{said}; unless that is expected, restart the worker (`make run` does so after {liveness.HUNG_SECONDS / 60:.0f} min)",
                )
        except EvenlyError as error:  # a locked or full database: the next heartbeat tries again
            log.warning("heartbeat not recorded: %s", error)

    def _report_steps(self) -> None:
        """Record how far the current run is within a long epoch, at most once a second."""
        if not self.position.look(time.monotonic()):
            return
        try:
            workers.beat(self.engine, self.id, state_text(self.position.place, self.no_progress.minutes))
        except EvenlyError as error:
            log.warning("step not recorded: %s", error)

    def ask(self) -> str | None:
        """The request to the worker, read by the current run. Each call shows that the run makes progress."""
        self.looks += 1
        return self.orders

    def rescue(self) -> None:
        """Requeue the runs of dead workers. The previous worker of this slot is dead: we hold its lock."""
        for run_id in queue.rescue(
            self.engine, lambda w: w.id == self.id or (w.slot != self.slot and taken(self.locks, w.slot))
        ):
            log.info("run %s: its worker died; rescued", run_id)
        self._rescued = time.monotonic()

    def warm_up(self) -> None:
        """Prepare what the first run will need: its imports and, if nothing is queued, the first comparison's dataset."""
        import_module("work.runner")  # imports torch, models and scikit-learn: a few seconds
        if any(results.list_runs(self.engine, status="queued", limit=1)["id"]):
            return
        from core.datasets import prepare
        from core.experiment.presets import FIRST
        from core.training.interrupts import Interrupted
        from work.inputs import interruptible

        try:
            prepare(FIRST.baseline.dataset, self.root, interruptible(lambda: self.orders))
        except Interrupted:
            return
        except EvenlyError as error:  # no space, perhaps: the first run will report it where people see it
            log.warning("%s", error)

    def loop(self, *, drain: bool = False, until: Callable[[], bool] = lambda: False) -> None:
        """Work until a stop is requested; with `drain` until no run is left that could start; or until `until()`."""
        while not self.orders and not until():
            try:
                if time.monotonic() - self._rescued > RESCUE_SECONDS:
                    self.rescue()
                claim = queue.claim(self.engine, self.id, self.device.name, self.only)
            except EvenlyError as error:  # locked or full database: logged once a second until that ends
                log.warning("%s", error)
                time.sleep(1)
                continue
            if claim is not None:
                self.work(claim)
            elif drain:
                return
            else:
                time.sleep(POLL_SECONDS)

    def work(self, claim: queue.Claim) -> None:
        """Train one claimed run until it ends, pauses or fails."""
        from work.runner import execute

        log.info("run %s: attempt %s", claim.run_id, claim.attempt)
        self.claim, self.position = claim, StepPosition(claim.run_id)
        try:
            outcome = execute(self.engine, claim, self.device, self.root, self.ask, self.position.follow)
        finally:
            self.claim, self.position = None, StepPosition()
        log.info("run %s: %s%s", claim.run_id, outcome.status, f" ({outcome.reason})" if outcome.reason else "")
        if outcome.device_lost:  # the supervisor starts another worker
            raise SystemExit(1)


def serve(slot: int, *, drain: bool = False) -> int:
    """Run the worker of a slot until SIGTERM or SIGINT (the same one again exits at once), or with `drain` until nothing is left."""
    worker, had, starting = Worker(slot, patience=PROBED_SECONDS), set(), True

    def stop(signum: int, _: object) -> None:
        if signum in had:  # a Ctrl-C comes twice: as SIGINT from the terminal and as SIGTERM from the parent
            os._exit(1)
        had.add(signum)
        worker.orders = "stop"
        if (
            starting and len(had) == 1
        ):  # there is no run to save yet, and an import or a locked database could take long
            raise SystemExit(0)

    on_signals(stop)
    try:
        with worker:
            log.info("ready on %s, data in %s", worker.device.name, worker.root)
            worker.warm_up()
            starting = False
            worker.loop(drain=drain)
    except Timeout as taken_by:
        log.error("a worker already serves slot %s (%s); only one can", slot, taken_by.lock_file)
        return ALREADY_ON
    except EvenlyError as error:
        log.error("%s", error)
        return 0 if worker.orders else REFUSED
    return 0
