"""A run through the worker that is paused, resumed, killed with SIGKILL and resumed again, compared with an uninterrupted one.

The worker is a process of its own, as a person starts it; runs are submitted, paused and looked at in its database, as the
command line does. Used by benchmarks/gpu.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from core.errors import EvenlyError
from core.experiment.config import RunConfig
from services.queue_rows import new_run
from storage import results
from storage.db.connection import open_database
from storage.db.errors import StorageError
from storage.db.migrate import upgrade
from storage.jobs import queue

ROOT = Path(__file__).resolve().parents[1]
TRIES = 3  # for a run that ends before it could be interrupted; each is twice as long
ENDS = ("succeeded", "cancelled", "paused")
PAUSE = 0.1  # seconds between two looks at a run


class BrokenRunError(EvenlyError):
    """The run could not be interrupted, or did not resume correctly."""


class Runs:
    """Runs and one worker on a data folder, with the worker's environment, until `deadline` (time.monotonic)."""

    def __init__(self, folder: Path, environment: Mapping[str, str], device: str, deadline: float) -> None:
        self.environment, self.device, self.deadline = dict(environment), device, deadline
        folder.mkdir()
        self.engine = open_database(f"sqlite:///{folder / 'evenly.db'}", role="worker")
        upgrade(self.engine)
        self.worker = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        self.worker = subprocess.Popen(
            [sys.executable, "worker.py", "--slot", "0"], cwd=ROOT, env=self.environment, stdout=sys.stderr
        )
        return self.worker

    def kill(self) -> None:
        """SIGKILL: the worker can save and report nothing."""
        self.worker.kill()
        self.worker.wait()

    def submit(self, epochs: int) -> int:
        config = RunConfig("mnist1d", "cnn1d", device=self.device, epochs=epochs)
        return queue.submit(self.engine, [new_run(config)])[0]

    def until(self, number: int, reached: Callable[[results.RunRow], bool] = lambda run: False) -> results.RunRow:
        """Wait until the run has `reached` a state or ended; returns it. A failed run or a dead worker raises BrokenRunError."""
        while True:
            run = results.get_run(self.engine, number)
            if run.status == "failed":
                raise BrokenRunError(f"run {number} failed: {run.error}")
            if reached(run) or run.status in ENDS:
                return run
            if self.worker.poll() is not None:
                raise BrokenRunError(f"the worker ended while run {number} was {run.status}; see its log above")
            if time.monotonic() > self.deadline:
                raise BrokenRunError(f"no time is left, run {number} is {run.status} after {run.last_epoch} epochs")
            time.sleep(PAUSE)

    def paused(self, number: int) -> results.RunRow | None:
        """Pause the run and wait; None if it ended first."""
        try:
            queue.ask(self.engine, number, "pause")
        except StorageError:
            if results.get_run(self.engine, number).status != "succeeded":
                raise
        run = self.until(number)
        return run if run.status == "paused" else None

    def broken(self, epochs: int) -> results.RunRow | None:
        """A run paused, resumed, killed and rescued by another worker, at its end; None if it ended too early for that."""
        number = self.submit(epochs)
        self.until(number, lambda run: run.last_epoch >= 1)
        if (held := self.paused(number)) is None:
            return None
        print(f"  run {number}: paused after {held.last_epoch} of {epochs} epochs", flush=True)
        queue.ask(self.engine, number, "run")
        self.until(number, lambda run: run.status == "running" and run.last_epoch > held.last_epoch)
        self.kill()
        left = results.get_run(self.engine, number)
        self.start()
        if left.status != "running":
            return None
        print(f"  run {number}: its worker killed after {left.last_epoch} epochs; another takes over", flush=True)
        return self.until(number)

    def broken_and_whole(self, epochs: int, whole: int) -> tuple[results.RunRow, list[results.RunRow]]:
        """An interrupted run and `whole` uninterrupted ones with the same settings, at their end."""
        for epochs in (epochs * 2**i for i in range(TRIES)):
            if (broken := self.broken(epochs)) is not None:
                return broken, [self.until(self.submit(epochs)) for _ in range(whole)]
            print(f"  the run of {epochs} epochs ended before it was interrupted", flush=True)
        raise BrokenRunError(f"{TRIES} runs ended before they could be paused and killed, the last of {epochs} epochs")

    def support(self, run: results.RunRow) -> int:
        """Samples of the first class in the test split."""
        return int(results.class_counts(self.engine, run.id, "test").support[0])

    def difference(self, a: results.RunRow, b: results.RunRow) -> int:
        """The largest difference of a class's true positives or predictions between two runs, in samples of the test split."""
        x, y = (results.class_counts(self.engine, run.id, "test") for run in (a, b))
        return int(max(np.abs(x.tp - y.tp).max(), np.abs(x.predicted - y.predicted).max()))


@contextmanager
def runs(folder: Path, device: str, deadline: float) -> Iterator[Runs]:
    """Runs on a new data folder with a worker, which is killed at the end. On "cpu" the worker sees no GPU."""
    own = {"EVENLY_DATA": str(folder)} | ({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {})
    inherited = {k: v for k, v in os.environ.items() if k != "EVENLY_DATABASE_URL"}
    made = Runs(folder, {**inherited, **own}, device, deadline)
    try:
        yield made
    finally:
        made.kill()
        made.engine.dispose()
