"""What recording the metrics costs of an MNIST-1D epoch, through the real runner and a real database.

    python -m benchmarks.recording [--runs 5] [--epochs 20] [--database FOLDER]

Trains the first comparison's baseline (cnn1d on MNIST-1D) as a worker does: queue, claim, runner.execute. Clocks stand
around the calls the runner makes between two epochs; nothing else is changed. Shares are of the epoch itself (training
and the evaluation of three splits), not of the sum, and are taken epoch by epoch. The first epoch of each run is left
out: it pays for what is compiled once. Every line: median, smallest and largest of n.

    record      counts -> rows of figures -> one committed transaction: the metrics of an epoch
    checkpoint  state -> bytes -> file, fsync, rename -> its row in the database
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

import runner
from core import checkpoint
from core.config import RunConfig
from core.device import choose, versions
from core.presets import FIRST
from storage import checkpoints, queue, results
from storage.engine import open_database, sqlite_module
from storage.launch import new_run
from storage.migrate import upgrade

TARGET = 3.0  # percent of an epoch, for recording the metrics
CLOCKED = (  # (name of the clock, where the runner finds the call, its name there)
    ("record", runner.Run, "_record"), ("- figures from counts", runner, "record_of"), ("- database", results, "record_epoch"),
    ("checkpoint", runner.Run, "save"), ("- bytes", checkpoint, "dumps"), ("- file", checkpoints, "write"),
    ("- database row", results, "record_checkpoint"),
)
Clock = dict[str, list[float]]


@contextmanager
def clocks(spent: Clock) -> Iterator[None]:
    """Time the calls of CLOCKED, in milliseconds; the calls are put back as they were."""
    originals = [(place, name, getattr(place, name)) for _, place, name in CLOCKED]
    for (label, place, name), (_, _, call) in zip(CLOCKED, originals, strict=True):
        setattr(place, name, timed(call, spent[label]))
    try:
        yield
    finally:
        for place, name, call in originals:
            setattr(place, name, call)


def timed(call: Callable[..., Any], into: list[float]) -> Callable[..., Any]:
    """The call, its milliseconds appended to `into`."""

    def wrapped(*args: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return call(*args, **named)
        finally:
            into.append(1e3 * (time.perf_counter() - started))

    return wrapped


def train(engine: Engine, config: RunConfig, root: Path) -> tuple[Clock, list[float]]:
    """One run from the queue to its end: the clocks, and the milliseconds of its epochs as it recorded them."""
    spent: Clock = defaultdict(list)
    run_id = queue.submit(engine, [new_run(config, FIRST.dataset_label)])[0]
    worker = queue.register_worker(engine, 0, "cpu", os.getpid(), platform.node())
    claim = queue.claim(engine, worker, "cpu")
    with clocks(spent):
        status, error = runner.execute(engine, claim, choose("cpu"), root, lambda: None)
    if status != "succeeded":
        raise SystemExit(f"run {run_id} ended as {status}: {error}")
    frame = results.epochs(engine, [run_id], "train")
    return spent, (1e3 * frame["seconds"]).tolist()


def counted(engine: Engine) -> list[str]:
    """The statements that the engine sends from now on."""
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _cur, statement, *_: sent.append(statement))
    return sent


def line(what: str, values: Sequence[float], unit: str) -> str:
    """Median (smallest to largest, n)."""
    return f"{what:<34} {statistics.median(values):9.2f} {unit}   ({min(values):.2f} to {max(values):.2f}, n={len(values)})"


def first_left_out(parts: list[list[float]]) -> list[float]:
    """All runs in one list, without the first epoch of each."""
    return [value for part in parts for value in part[1:]]


def report(clocked: list[Clock], epochs: list[list[float]]) -> None:
    """The lines, and the share of each cost in its own epoch."""
    print(line("epoch (train and evaluate)", first_left_out(epochs), "ms"))
    for label, _, _ in CLOCKED:
        calls = [spent[label] for spent in clocked]
        print(line(label, first_left_out(calls), "ms"))
    for label in ("record", "checkpoint"):
        shares = [100 * cost / of for spent, seconds in zip(clocked, epochs, strict=True)
                  for cost, of in list(zip(spent[label], seconds, strict=True))[1:]]
        whole = 100 * sum(sum(spent[label]) for spent in clocked) / sum(map(sum, epochs))
        goal = f", target {TARGET:.0f} %" if label == "record" else ""
        print(line(f"{label}, share of its epoch", shares, "% "))
        print(f"{label + ', share of all epochs':<34} {whole:9.2f} %    (first epochs included{goal})")


def main() -> None:
    parser = argparse.ArgumentParser(description="Time what recording costs of a training epoch.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=FIRST.baseline.epochs)
    parser.add_argument("--database", help="a folder on the disk to be measured; default a temporary one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.database) as folder:
        root = Path(folder)
        engine = open_database(f"sqlite:///{root / 'bench.db'}", role="worker")
        upgrade(engine)
        settings = replace(FIRST.baseline, epochs=args.epochs, device="cpu")
        train(engine, replace(settings, epochs=2), root)  # draws the data, imports what is imported late
        statements = counted(engine)
        ran = [train(engine, replace(settings, seed=seed), root) for seed in range(args.runs)]
    about = versions()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; torch {about['torch']}, Python {about['python']}, "
          f"SQLite {sqlite_module().sqlite_version}; {settings.model} on {settings.dataset}")
    report([spent for spent, _ in ran], [seconds for _, seconds in ran])
    print(f"{len(statements) / (args.runs * args.epochs):.1f} statements an epoch, all of a run included")


if __name__ == "__main__":
    main()
