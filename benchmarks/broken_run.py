"""A run through the worker that is paused, resumed, killed with SIGKILL and resumed again, compared with an uninterrupted one.

The command line and the worker run as separate processes, as a person starts them; states are read from `cli.py show --json`.
Used by benchmarks/gpu.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from core.errors import EvenlyError

ROOT = Path(__file__).resolve().parents[1]
TRIES = 3  # for a run that ends before it could be interrupted; each is twice as long
ENDS = ("succeeded", "cancelled", "paused")


class BrokenRunError(EvenlyError):
    """The run could not be interrupted, or did not resume correctly."""


class Runs:
    """The command line and one worker on the data folder that `environment` names, until `deadline` (time.monotonic)."""

    def __init__(self, environment: Mapping[str, str], device: str, deadline: float) -> None:
        self.environment, self.device, self.deadline = dict(environment), device, deadline
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

    def cli(self, *words: str | int) -> str:
        """The output of a command; if it fails, BrokenRunError with its message."""
        command, left = [sys.executable, "cli.py", *map(str, words)], self.deadline - time.monotonic()
        done = subprocess.run(
            command, check=False, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=left
        )
        if done.returncode:
            raise BrokenRunError(f"cli.py {' '.join(command[2:])}: {done.stderr.strip()}")
        return done.stdout

    def show(self, number: int) -> dict:
        return json.loads(self.cli("show", number, "--json"))

    def submit(self, epochs: int) -> int:
        where = ("--dataset", "mnist1d", "--model", "cnn1d", "--device", self.device)
        return int(json.loads(self.cli("run", *where, "--epochs", epochs, "--json"))["id"])

    def until(self, number: int, reached: Callable[[dict], bool] | None = None) -> dict:
        """Wait until the run has `reached` a state or ended; returns it. A failed run or a dead worker raises BrokenRunError."""
        pause = 0.1 if reached else 2.0  # each check takes one or two core-seconds, which training may need
        while True:
            run = self.show(number)
            if run["status"] == "failed":
                raise BrokenRunError(f"run {number} failed: {run['error']}")
            if (reached and reached(run)) or run["status"] in ENDS:
                return run
            if self.worker.poll() is not None:
                raise BrokenRunError(f"the worker ended while run {number} was {run['status']}; see its log above")
            time.sleep(pause)

    def paused(self, number: int) -> dict | None:
        """Pause the run and wait; None if it ended first."""
        try:
            self.cli("pause", number)
        except BrokenRunError:
            if self.show(number)["status"] != "succeeded":
                raise
        run = self.until(number)
        return run if run["status"] == "paused" else None

    def broken(self, epochs: int) -> dict | None:
        """A run paused, resumed, killed and rescued by another worker, at its end; None if it ended too early for that."""
        number = self.submit(epochs)
        self.until(number, lambda run: run["last_epoch"] >= 2)
        if (held := self.paused(number)) is None:
            return None
        print(f"  run {number}: paused after {held['last_epoch']} of {epochs} epochs", flush=True)
        self.cli("resume", number)
        self.until(number, lambda run: run["status"] == "running" and run["last_epoch"] > held["last_epoch"])
        self.kill()
        left = self.show(number)
        self.start()
        if left["status"] != "running":
            return None
        print(f"  run {number}: its worker killed after {left['last_epoch']} epochs; another takes over", flush=True)
        return self.until(number)

    def broken_and_whole(self, epochs: int, whole: int) -> tuple[dict, list[dict]]:
        """An interrupted run and `whole` uninterrupted ones with the same settings, as `show` prints them at their end."""
        for epochs in (epochs * 2**i for i in range(TRIES)):
            if (broken := self.broken(epochs)) is not None:
                return broken, [self.until(self.submit(epochs)) for _ in range(whole)]
            print(f"  the run of {epochs} epochs ended before it was interrupted", flush=True)
        raise BrokenRunError(f"{TRIES} runs ended before they could be paused and killed, the last of {epochs} epochs")


@contextmanager
def runs(folder: Path, device: str, deadline: float) -> Iterator[Runs]:
    """Runs on a data folder with a worker, which is killed at the end. On "cpu" the worker sees no GPU."""
    own = {"EVENLY_DATA": str(folder)} | ({"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {})
    inherited = {k: v for k, v in os.environ.items() if k != "EVENLY_DATABASE_URL"}
    made = Runs({**inherited, **own}, device, deadline)
    try:
        yield made
    finally:
        made.kill()


def difference(a: dict, b: dict) -> int:
    """The largest difference of a class's true positives or predictions between two runs, in samples of the test split."""
    pairs = list(zip(a["classes"], b["classes"], strict=True))
    return max(abs(x[key] - y[key]) for x, y in pairs for key in ("true_positives", "predicted"))
