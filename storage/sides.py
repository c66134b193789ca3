"""Stored runs as the sides of a comparison and as reports: the records in the words of core.comparison.compare and core.report."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import Engine, and_, or_, select

from core.comparison.pairing import GONE, Replicate, replicate
from core.comparison.side import Side
from core.experiment.baseline import takes_tprs
from core.methods.types import Vector
from core.report import RunReport
from storage.classes import class_counts, split_number
from storage.engine import StorageError, reading
from storage.history import class_history
from storage.runs import RunRow
from storage.tables import detail, epoch, run


def measured(row: RunRow) -> None:
    """A run without a finished epoch raises StorageError."""
    if not row.last_epoch:
        raise StorageError(f"run {row.id} is {row.status} and has no finished epoch yet; wait for its first one")


def beside_counts(engine: Engine, run_id: int, split: str, at: int) -> dict[str, Any]:
    """What counts do not tell of a split after an epoch.

    top5  samples whose class was among the five highest scores; None with five classes or fewer
    ece   expected calibration error; None where it was not recorded
    """
    key = and_(epoch.c.run_id == run_id, epoch.c.epoch == at, epoch.c.split == split_number(split))
    with reading(engine) as connection:
        row = connection.execute(select(epoch.c.top5, epoch.c.ece).where(key)).one_or_none()
    return {"top5": None, "ece": None} if row is None else dict(row._mapping)


def origins(engine: Engine, row: RunRow) -> dict[int, dict[str, Any]]:
    """Run -> seed, index_hash, baseline and baseline_seed: of this run and of the succeeded ones with its settings, oldest first."""
    first = run.alias("first")
    takes = takes_tprs(row.config) and row.config.get("tpr") is None  # TPRs that were given come from no run
    query = (
        select(run.c.id, run.c.seed, detail.c.facts["index_hash"].as_string(), first.c.id, first.c.seed)
        .join(detail, detail.c.run_id == run.c.id)
        .outerjoin(first, first.c.id == run.c.baseline_id)
        .where(or_(run.c.id == row.id, and_(run.c.group_sha == row.group_sha, run.c.status == "succeeded")))
        .order_by(run.c.id)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    return {
        number: {
            "seed": seed,
            "index_hash": index_hash or "",
            "baseline": (baseline or GONE) if takes else None,
            "baseline_seed": baseline_seed if takes else None,
        }
        for number, seed, index_hash, baseline, baseline_seed in rows
    }


def _replicate(engine: Engine, run_id: int, origin: dict[str, Any]) -> Replicate:
    counts = class_counts(engine, run_id, "test")
    return replicate(
        tp=counts.tp,
        support=counts.support,
        predicted=counts.predicted,
        run=run_id,
        **beside_counts(engine, run_id, "test", counts.epoch),
        **origin,
    )


def moving_weight(engine: Engine, row: RunRow) -> Vector | None:
    """A run's class weights epoch by epoch [E, C] where they have moved, else None: most runs keep theirs, and a history is a wide read.

    Looked at in the first, the middle and the last epoch: what moves has seldom come back to where it began in both of the others.
    """
    looks = (
        class_counts(engine, row.id, "validation", at).weight
        for at in sorted({1, max(row.last_epoch // 2, 1), row.last_epoch})
    )
    first, *others = (
        np.zeros(0) if weight is None else weight for weight in looks
    )  # before a late start there is none
    if all(np.array_equal(first, other, equal_nan=True) for other in others):
        return None
    return class_history(engine, row.id, "validation").weight


def side(engine: Engine, row: RunRow) -> Side:
    """One side of a comparison: the run's test figures after its last epoch, its replicates, and all that a caution may speak of."""
    measured(row)
    found = {number: _replicate(engine, number, origin) for number, origin in origins(engine, row).items()}
    return Side(
        f"run {row.id}",
        row.facts["classes"],
        found[row.id],
        list(found.values()),
        row.dataset,
        status=row.status,
        epoch=int(row.last_epoch),
        epochs=int(row.epochs),
        group=row.group_sha,
        settings=row.config,
        facts=row.facts,
        weight=moving_weight(engine, row),
    )


def report(engine: Engine, row: RunRow, split: str = "test") -> RunReport:
    """A run as the exporters want it."""
    measured(row)
    c = class_counts(engine, row.id, split)
    return RunReport(
        row.id,
        row.name,
        split,
        c.epoch,
        row.facts["classes"],
        c.support,
        c.tp,
        c.predicted,
        c.weight,
        row.config,
        row.facts,
        **beside_counts(engine, row.id, split, c.epoch),
    )
