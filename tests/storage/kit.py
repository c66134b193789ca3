"""What the storage tests share: a migrated database in no time, runs to put in it, epochs to record."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, text

from core.experiment.config import RunConfig
from core.split_names import SPLITS
from storage import results
from storage.db.connection import open_database
from storage.db.migrate import upgrade
from storage.jobs import queue, workers


@cache
def _template() -> Path:
    """One migrated database per test session; each test gets a copy."""
    path = Path(tempfile.mkdtemp(prefix="evenly-")) / "template.db"
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    engine = open_database(f"sqlite:///{path}")
    upgrade(engine)
    with engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


def database(folder: Path, **options) -> Engine:
    path = folder / "evenly.db"
    if not path.exists():
        shutil.copy(_template(), path)
    return open_database(f"sqlite:///{path}", **{"role": "worker", **options})


def new_run(name: str = "a run", **values) -> queue.NewRun:
    """`values`: of the row (group_sha, baseline, baseline_index, tags), the others of its config."""
    row = {key: values.pop(key) for key in ("group_sha", "baseline", "baseline_index", "tags") if key in values}
    config = RunConfig(**{"dataset": "mnist1d", "model": "cnn1d", "epochs": 3} | values)
    return queue.NewRun(**{"config": config, "name": name, "group_sha": "g" * 64} | row)


def claimed(engine: Engine, **values) -> queue.Claim:
    """A run, claimed by a worker of its own."""
    queue.submit(engine, [new_run(**values)])
    worker = workers.register_worker(engine, 0, "cpu", 1, "host")
    claim = queue.claim(engine, worker, "cpu")
    assert claim is not None
    return claim


def epoch_record(
    number: int = 1, *, score: float = 0.7, classes: int = 2, accuracy: float = 0.75, **values
) -> results.EpochRecord:
    """`score` is the balanced accuracy on validation; tp is 3, 4, 5, ... + the epoch's number (up to 97), so that epochs differ."""
    tp = (np.arange(3, 3 + classes) + number) % 98
    support = np.full(classes, 100)
    matrix = np.zeros((classes, classes), dtype=np.int64)
    matrix[:, 0] = support - tp
    matrix[np.arange(classes), np.arange(classes)] += tp
    part = results.SplitRecord(
        loss=0.5,
        n=100 * classes,
        support=support,
        tp=tp,
        predicted=matrix.sum(axis=0),
        top5=None,
        accuracy=accuracy,
        balanced_accuracy=score,
        tpr_mean=0.7,
        tpr_variance=0.01,
        tpr_min=0.6,
        tpr_max=0.8,
    )
    given = {
        "seconds": 2.0,
        "lr": 0.1,
        "splits": dict.fromkeys(SPLITS, part),
        "weight": np.arange(1.0, classes + 1),
        "confusion": {"validation": matrix, "test": matrix},
        "info": {"tau": 1.5},
    }
    return results.EpochRecord(epoch=number, **given | values)


def broken(record: results.EpochRecord, split: str = "validation", **values) -> results.EpochRecord:
    """The record with some values of one split changed."""
    return replace(record, splits={**record.splits, split: replace(record.splits[split], **values)})


def status(engine: Engine, run_id: int) -> str:
    return results.get_run(engine, run_id).status


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return connection.scalar(text(f"SELECT count(*) FROM {table}"))


def plan(engine: Engine, statement) -> str:
    """SQLite's plan for a statement, as one text."""
    sql = str(statement.compile(engine, compile_kwargs={"literal_binds": True}))
    with engine.connect() as connection:
        return "; ".join(row[3] for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + sql))


def in_background(work: Callable[[], object]):
    """Run `work` in a thread; `.result()` waits and gives what it returned or raised."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future
