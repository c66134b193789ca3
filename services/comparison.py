"""Stored runs as sides of a comparison and as reports, for core.comparison.compare and reporting.run_report."""

from __future__ import annotations

import numpy as np
from sqlalchemy import Engine

from core.comparison.pairing import Replicate, replicate
from core.comparison.side import Side
from core.methods.types import Vector
from reporting.run_report import RunReport
from storage.results.class_counts import beside_counts, class_counts, measured
from storage.results.class_history import class_history
from storage.results.runs import Origin, RunRow, origins


def _replicate(engine: Engine, run_id: int, origin: Origin) -> Replicate:
    counts = class_counts(engine, run_id, "test")
    return replicate(
        tp=counts.tp,
        support=counts.support,
        predicted=counts.predicted,
        run=run_id,
        seed=origin.seed,
        index_hash=origin.index_hash,
        baseline=origin.baseline,
        baseline_seed=origin.baseline_seed,
        **beside_counts(engine, run_id, "test", counts.epoch),
    )


def moving_weight(engine: Engine, row: RunRow) -> Vector | None:
    """A run's class weights epoch by epoch [E, C] where they change, else None: in most runs they do not, and the history is a large read.

    Checked in the first, the middle and the last epoch: weights that change are rarely the same in all three.
    """
    checked = (
        class_counts(engine, row.id, "validation", at).weight
        for at in sorted({1, max(row.last_epoch // 2, 1), row.last_epoch})
    )
    first, *others = (
        np.zeros(0) if weight is None else weight for weight in checked
    )  # before a late start there are none
    if all(np.array_equal(first, other, equal_nan=True) for other in others):
        return None
    return class_history(engine, row.id, "validation").weight


def side(engine: Engine, row: RunRow) -> Side:
    """One side of a comparison: the run's test figures after its last epoch, its replicates, and everything the cautions need."""
    measured(row)
    found = {number: _replicate(engine, number, origin) for number, origin in origins(engine, row).items()}
    return Side(
        f"run {row.id}",
        row.facts.classes,
        found[row.id],
        list(found.values()),
        row.dataset,
        status=row.status,
        epoch=int(row.last_epoch),
        epochs=int(row.epochs),
        group=row.group_sha,
        config=row.config,
        facts=row.facts,
        weight=moving_weight(engine, row),
    )


def report(engine: Engine, row: RunRow, split: str = "test") -> RunReport:
    """A run as the exporters need it."""
    measured(row)
    c = class_counts(engine, row.id, split)
    return RunReport(
        row.id,
        row.name,
        split,
        c.epoch,
        row.facts.classes,
        c.support,
        c.tp,
        c.predicted,
        c.weight,
        row.config,
        row.facts,
        row.baseline_id,
        **beside_counts(engine, row.id, split, c.epoch),
    )
