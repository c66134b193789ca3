"""Stored runs as the sides of a comparison and as reports: the records in the words of core.compare and core.report."""

from __future__ import annotations

from sqlalchemy import Engine

from core.compare import Replicate, Side, replicate
from core.report import RunReport
from storage.classes import ClassCounts, class_counts
from storage.engine import StorageError
from storage.runs import RunRow, get_run, replicates


def last_counts(engine: Engine, row: RunRow, split: str = "test") -> ClassCounts:
    """Counts after the last epoch; a run without a finished epoch raises StorageError."""
    if not row.last_epoch:
        raise StorageError(f"run {row.id} is {row.status} and has no finished epoch yet; wait for its first one")
    return class_counts(engine, row.id, split)


def replicates_of(engine: Engine, run_id: int) -> list[Replicate]:
    """Test figures of the succeeded runs with the same settings but the seed, the run itself included."""
    out = []
    for other in replicates(engine, run_id):
        counts = class_counts(engine, other, "test")
        out.append(replicate(get_run(engine, other).seed, counts.tp, counts.support))
    return out


def side(engine: Engine, row: RunRow) -> Side:
    """One side of a comparison: the run's test counts after its last epoch, its replicates, and all that a caution may speak of."""
    counts = last_counts(engine, row)
    return Side(
        f"run {row.id}", row.facts["classes"], counts.support, counts.tp, row.seed, replicates_of(engine, row.id), row.dataset, status=row.status,
        epoch=int(row.last_epoch), epochs=int(row.epochs), group=row.group_sha, settings=row.config, index_hash=row.facts.get("index_hash", ""),
    )


def report(engine: Engine, row: RunRow, split: str = "test") -> RunReport:
    """A run as the exporters want it."""
    c = last_counts(engine, row, split)
    return RunReport(row.id, row.name, split, c.epoch, row.facts["classes"], c.support, c.tp, c.predicted, c.weight, row.config, row.facts)
