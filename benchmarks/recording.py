"""The share of an MNIST-1D epoch that recording its metrics takes, with the real runner and a real database.

    python -m benchmarks.recording [--runs 5] [--epochs 20] [--database FOLDER]

Trains the first comparison's baseline (cnn1d on MNIST-1D) as a worker does: queue, claim, runner.execute. The epoch and
the calls between two epochs are timed; nothing else is changed. The first epoch of each run is excluded, because it
includes one-time compilation.

    epoch       training, evaluation of validation and test split
    record      counts -> figures -> one committed transaction: the metrics of an epoch
    checkpoint  state -> bytes -> file, fsync, rename -> its row in the database

Every line: median of n, minimum and maximum, in milliseconds of wall-clock time, then the median of the thread's CPU
time. The difference is waiting for the disk or for a busy processor. Shares are of the epoch itself, not of the sum,
epoch by epoch. Run it on an idle machine; the load is printed.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from core.experiment.config import RunConfig
from core.experiment.presets import FIRST
from core.training import checkpoint
from core.training.device import choose, versions
from services.queue_rows import new_run
from storage import results
from storage.db.connection import open_database
from storage.db.dialects.sqlite import sqlite_module
from storage.db.migrate import upgrade
from storage.jobs import queue, workers
from storage.results import checkpoint_files
from work import recorded_run, runner

TARGET = 3.0  # percent of an epoch, for recording the metrics
CLOCKED = (  # label, object with the call, name of the call
    ("epoch", runner.Trainer, "_epoch"),
    ("record", runner.Run, "_record"),
    ("- figures from counts", recorded_run, "record_of"),
    ("- database", results, "record_epoch"),
    ("checkpoint", runner.Run, "save"),
    ("- bytes", checkpoint, "dumps"),
    ("- file", checkpoint_files, "write"),
    ("- database rows", results, "record_checkpoint"),
)
Spent = tuple[float, float]  # milliseconds of one call: wall-clock time, CPU time of the thread
Clock = dict[str, list[Spent]]


@contextmanager
def clocks(spent: Clock) -> Iterator[None]:
    """Time the calls of CLOCKED; the originals are restored afterwards."""
    originals = [(place, name, getattr(place, name)) for _, place, name in CLOCKED]
    for (label, place, name), (_, _, call) in zip(CLOCKED, originals, strict=True):
        setattr(place, name, timed(call, spent[label]))
    try:
        yield
    finally:
        for place, name, call in originals:
            setattr(place, name, call)


def timed(call: Callable[..., Any], into: list[Spent]) -> Callable[..., Any]:
    """The call, with its time appended to `into`."""

    def wrapped(*args: Any, **named: Any) -> Any:
        wall, cpu = time.perf_counter(), time.thread_time()
        try:
            return call(*args, **named)
        finally:
            into.append((1e3 * (time.perf_counter() - wall), 1e3 * (time.thread_time() - cpu)))

    return wrapped


def train(engine: Engine, config: RunConfig, root: Path) -> Clock:
    """One run from the queue to its end, timed."""
    spent: Clock = defaultdict(list)
    run_id = queue.submit(engine, [new_run(config)])[0]
    worker = workers.register_worker(engine, 0, "cpu", os.getpid(), platform.node())
    claim = queue.claim(engine, worker, "cpu")
    with clocks(spent):
        status, error = runner.execute(engine, claim, choose("cpu"), root, lambda: None)
    if status != "succeeded":
        raise SystemExit(f"run {run_id} ended as {status}: {error}")
    return spent


def counted(engine: Engine) -> list[str]:
    """A list that collects the statements the engine sends from now on."""
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _cur, statement, *_: sent.append(statement))
    return sent


def line(what: str, wall: Sequence[float], unit: str, cpu: Sequence[float]) -> str:
    """Median (minimum to maximum, n), and the median of the CPU time."""
    spread = f"({min(wall):.2f} to {max(wall):.2f}, n={len(wall)})"
    return f"{what:<31} {statistics.median(wall):9.2f} {unit}  {spread:<30} CPU {statistics.median(cpu):8.2f} {unit}"


def report(ran: list[Clock]) -> None:
    """Print the lines, and the share of each cost in its epoch."""
    for label, _, _ in CLOCKED:
        calls = [spent for clock in ran for spent in clock[label][1:]]
        print(line(label, *_columns(calls, "ms")))
    for label in ("record", "checkpoint"):
        both = [pair for clock in ran for pair in list(zip(clock[label], clock["epoch"], strict=True))[1:]]
        shares = [(100 * cost[0] / of[0], 100 * cost[1] / of[1]) for cost, of in both]
        print(
            line(f"{label}, share of its epoch", *_columns(shares, "% ")),
            f"  target {TARGET:.0f} %" if label == "record" else "",
        )


def _columns(spent: Sequence[Spent], unit: str) -> tuple[list[float], str, list[float]]:
    return [wall for wall, _ in spent], unit, [cpu for _, cpu in spent]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time what recording costs of a training epoch.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=FIRST.baseline.epochs)
    parser.add_argument("--database", help="a folder on the disk to measure; default: a temporary one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.database) as folder:
        root = Path(folder)
        engine = open_database(f"sqlite:///{root / 'bench.db'}", role="worker")
        upgrade(engine)
        settings = replace(FIRST.baseline, epochs=args.epochs, device="cpu")
        train(engine, replace(settings, epochs=2), root)  # prepares the data and triggers late imports
        statements = counted(engine)
        ran = [train(engine, replace(settings, seed=seed), root) for seed in range(args.runs)]
    about = versions()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; torch {about['torch']}, Python {about['python']}, "
        f"SQLite {sqlite_module().sqlite_version}; {settings.model} on {settings.dataset}, {args.runs} runs of {args.epochs} epochs"
    )
    report(ran)
    print(f"{len(statements) / (args.runs * args.epochs):.1f} statements per epoch, including those of the whole run")


if __name__ == "__main__":
    main()
