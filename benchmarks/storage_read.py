"""How long pages wait for reads from the database, and a worker for its writes.

    python benchmarks/storage_read.py [--classes 1000] [--epochs 90] [--runs 10000] [--times 15]

Builds a database in a temporary folder with the calls the worker uses, then times the reads. "cold" reopens the database
and first asks the system to drop the file from memory (Linux); "warm" repeats on the open engine, which caches class
histories.
Every line: median, minimum and maximum of n, in milliseconds, and the target if there is one.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, Engine, insert, select

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from core.experiment.config import RunConfig
from core.experiment.facts import Facts
from core.split_names import SPLITS
from storage import results
from storage.db.connection import open_database, write
from storage.db.dialects.sqlite import sqlite_module
from storage.db.migrate import check_schema, upgrade
from storage.db.schema import detail, run
from storage.jobs import queue, workers


def epoch_record(number: int, classes: int, draw: np.random.Generator) -> results.EpochRecord:
    """An epoch as training produces it: 10 samples per class, TPRs around .7."""
    splits, matrices = {}, {}
    for name in SPLITS:
        support = np.full(classes, 10)
        tp = draw.binomial(10, 0.7, classes)
        matrix = np.zeros((classes, classes), dtype=np.int64)
        matrix[np.arange(classes), np.arange(classes)] = tp
        np.add.at(
            matrix,
            (np.repeat(np.arange(classes), support - tp), draw.integers(0, classes, int((support - tp).sum()))),
            1,
        )
        tp, tpr = np.diag(matrix), np.diag(matrix) / support
        splits[name] = results.SplitRecord(
            0.9,
            int(support.sum()),
            support,
            tp,
            matrix.sum(axis=0),
            int(support.sum()) - 1,
            float(tp.sum() / support.sum()),
            float(tpr.mean()),
            float(tpr.mean()),
            float(tpr.var()),
            float(tpr.min()),
            float(tpr.max()),
        )
        if name != "train":
            matrices[name] = matrix
    return results.EpochRecord(number, 1.0, 0.1, splits, draw.random(classes), matrices, {"tau": 1.0})


def new_run(name: str, epochs: int) -> queue.NewRun:
    params = {"lr": 0.1, "batch_size": 128, "weight_decay": 5e-4}
    config = RunConfig("bench", "resnet20", "tpr_ratio", {"exponent": 2.0}, recipe_params=params, epochs=epochs)
    return queue.NewRun(config, name, "0" * 64)


def trained(engine: Engine, classes: int, epochs: int, draw: np.random.Generator) -> tuple[int, list[float]]:
    """Record a run epoch by epoch; returns its id and the milliseconds of each record."""
    worker = workers.register_worker(engine, 0, "cpu", os.getpid(), platform.node())
    queue.submit(engine, [new_run(f"{classes} classes", epochs)])
    claim = queue.claim(engine, worker, "cpu")
    facts = Facts(tuple(f"class {c}" for c in range(classes)), {s: [10] * classes for s in SPLITS})
    results.start_run(engine, claim, facts)
    spent = []
    for number in range(1, epochs + 1):
        record = epoch_record(number, classes, draw)
        started = time.perf_counter()
        results.record_epoch(engine, claim, record)
        spent.append(1e3 * (time.perf_counter() - started))
    queue.finish(engine, claim, "succeeded")
    return claim.run_id, spent


def crowd(engine: Engine, count: int, draw: np.random.Generator) -> None:
    """Add finished runs for the list, with facts of 10 classes each."""
    figures = draw.random((count, 4))
    facts = Facts(
        tuple(f"class {c}" for c in range(10)), {s: [400] * 10 for s in SPLITS}, versions={"torch": "2.13.0"}
    ).stored()
    keys = ("final_accuracy", "final_tpr_variance", "final_tpr_min", "best_accuracy")
    rows = [
        {
            "status": "succeeded",
            "created_at": 1.7e9 + i,
            "started_at": 1.7e9 + i,
            "finished_at": 1.7e9 + i + 60,
            "name": f"run number {i}",
            "dataset": "mnist1d",
            "model": "cnn1d",
            "method": "tpr_ratio",
            "seed": i,
            "epochs": 20,
            "last_epoch": 20,
            "seconds": 60.0,
            "config_sha": "0" * 64,
            "group_sha": f"{i // 3:064d}",
            **dict(zip(keys, figures[i].tolist(), strict=True)),
        }
        for i in range(count)
    ]
    settings = {"config": new_run("", 20).config.stored(), "facts": facts}

    def work(connection: Connection) -> None:
        connection.execute(insert(run), rows)
        ids = connection.scalars(select(run.c.id).where(run.c.dataset == "mnist1d"))
        connection.execute(insert(detail), [{"run_id": i, **settings} for i in ids])

    write(engine, work)


def timed(work: Callable[[], object], times: int, before: Callable[[], None] = lambda: None) -> list[float]:
    spent = []
    for _ in range(times):
        before()
        started = time.perf_counter()
        work()
        spent.append(1e3 * (time.perf_counter() - started))
    return spent


def line(what: str, spent: list[float], target: float | None = None) -> None:
    goal = "" if target is None else f"   target {target:.0f}"
    print(f"{what:<58} {statistics.median(spent):8.1f}  ({min(spent):.1f} to {max(spent):.1f}, n={len(spent)}){goal}")


def forget(path: Path) -> None:
    """Ask the system to drop the database from memory (Linux; elsewhere "cold" means a new connection only)."""
    if hasattr(os, "posix_fadvise"):
        for file in path.parent.glob(path.name + "*"):
            handle = os.open(file, os.O_RDONLY)
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def compare_page(engine: Engine, pair: list[int]) -> None:
    """Everything the Compare page reads: settings, facts, curves, counts of two splits, confusion of the test split."""
    for run_id in pair:
        results.get_run(engine, run_id)
        results.class_counts(engine, run_id, "test")
        results.class_counts(engine, run_id, "validation")
        results.confusion(engine, run_id, "test")
    results.epochs(engine, pair)


def histories(engine: Engine, pair: list[int]) -> None:
    for run_id in pair:
        results.class_history(engine, run_id, "test")


def cold_and_warm(
    what: str, url: str, path: Path, work: Callable[[Engine], object], times: int, targets: tuple[float, float]
) -> None:
    line(f"{what}, cold", timed(lambda: work(open_database(url)), times, lambda: forget(path)), targets[0])
    engine = open_database(url)
    work(engine)
    line(f"{what}, warm", timed(lambda: work(engine), times), targets[1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the reads of pages and the writes of a worker.")
    for name, default in (("classes", 1000), ("epochs", 90), ("runs", 10_000), ("times", 15)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        url = f"sqlite:///{path}"
        engine = open_database(url, role="worker")
        upgrade(engine)
        print(
            f"Python {platform.python_version()}, SQLite {sqlite_module().sqlite_version}, {os.cpu_count()} cores; milliseconds"
        )
        first, large = trained(engine, args.classes, args.epochs, draw)
        second, _ = trained(engine, args.classes, args.epochs, draw)
        _, small = trained(engine, 10, 100, draw)
        crowd(engine, args.runs, draw)
        print(
            f"database of {path.stat().st_size / 1e6:.0f} MB: {args.runs} runs, two of {args.classes} classes x {args.epochs} epochs"
        )
        pair = [first, second]
        cold_and_warm("compare page, two runs", url, path, lambda e: compare_page(e, pair), args.times, (300, 50))
        cold_and_warm(
            "every epoch and class of a split, two runs",
            url,
            path,
            lambda e: histories(e, pair),
            args.times,
            (300, None),
        )
        cold_and_warm(f"list of {args.runs} runs", url, path, results.list_runs, args.times, (300, 300))
        cold_and_warm(
            "list of the newest 100", url, path, lambda e: results.list_runs(e, limit=100), args.times, (None, None)
        )
        cold_and_warm("schema check at a start", url, path, check_schema, args.times, (None, 5))
        line(f"record of an epoch, {args.classes} classes x 3 splits", large)
        line("record of an epoch, 10 classes x 3 splits", small)


if __name__ == "__main__":
    main()
