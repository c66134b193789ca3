"""What a worker records of its run: the facts at the start, then epoch by epoch, each in one fenced transaction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sqlalchemy import Connection, Engine, and_, delete, select, update

from core.experiment.facts import Facts
from core.split_names import SPLITS
from storage.db.connection import strict_json, upsert, write
from storage.db.errors import StorageError
from storage.db.schema import class_epoch, confusion, detail, epoch, run
from storage.jobs.queue import Claim, hold
from storage.results.class_counts import split_number
from storage.results.confusion_codec import pack

METRICS = ("accuracy", "balanced_accuracy", "tpr_mean", "tpr_variance", "tpr_min", "tpr_max", "ece")
SUMMARY = (
    "accuracy",
    "balanced_accuracy",
    "tpr_mean",
    "tpr_variance",
    "tpr_min",
)  # a run has final_* and best_* columns of these
VALIDATION, TEST = map(split_number, ("validation", "test"))
Counts = NDArray[np.int64]  # [C]
Info = Mapping[str, float | list[float]]  # scalars worth showing, and lists per class


@dataclass(frozen=True)
class SplitRecord:
    """One split after one epoch. `loss` is finite or None; a metric that is undefined (no class with samples) is NaN or None."""

    loss: float | None
    n: int
    support: ArrayLike  # [C]
    tp: ArrayLike  # [C]
    predicted: ArrayLike  # [C]
    top5: int | None = None
    accuracy: float | None = None
    balanced_accuracy: float | None = None
    tpr_mean: float | None = None
    tpr_variance: float | None = None
    tpr_min: float | None = None
    tpr_max: float | None = None
    ece: float | None = None


@dataclass(frozen=True)
class EpochRecord:
    """One epoch. `epoch` counts from 1, so it is also the number of epochs done. `seconds` is this epoch's own time.

    `weight` [C] are the weights the epoch was trained with; `confusion` holds [C, C] matrices (rows: true class) by split.
    """

    epoch: int
    seconds: float
    lr: float | None
    splits: Mapping[str, SplitRecord]
    weight: ArrayLike | None = None
    confusion: Mapping[str, ArrayLike] | None = None
    info: Info = field(default_factory=dict)


def start_run(engine: Engine, claim: Claim, facts: Facts) -> None:
    """Store what the run starts from. NaN (an undefined TPR) is stored as null. Raises Lost if the claim has ended."""
    plain = _plain(facts.stored(), "facts")

    def work(connection: Connection) -> None:
        hold(connection, claim)
        connection.execute(update(detail).where(detail.c.run_id == claim.run_id).values(facts=plain))

    write(engine, work)


def record_epoch(engine: Engine, claim: Claim, record: EpochRecord) -> bool:
    """Record an epoch in one transaction, replacing an earlier record of it; True if it is the best so far.

    Best: the highest balanced accuracy on the validation split, the earliest on ties. The confusion matrices of the
    last and of the best epoch are kept. Raises Lost if the claim has ended and StorageError for a figure that is not
    finite, inconsistent counts, or a database that cannot be written; nothing is written then.
    """
    rows = _Rows.of(claim.run_id, record)

    def work(connection: Connection) -> bool:
        hold(connection, claim)
        before = connection.execute(
            select(run.c.seconds, run.c.best_epoch, run.c.best_score).where(run.c.id == claim.run_id)
        ).one()
        earlier = _seconds_of(connection, claim.run_id, record.epoch)  # an epoch trained again counts once
        rows.upsert(connection)
        spent = before.seconds + record.seconds - (earlier or 0.0)
        values = {"last_epoch": record.epoch, "seconds": spent, **_prefixed("final", rows.split(TEST))}
        best = _best(connection, claim.run_id, earlier is not None, before.best_score, rows)
        connection.execute(update(run).where(run.c.id == claim.run_id).values(**values, **best))
        best_epoch = best.get("best_epoch", before.best_epoch)
        kept = [record.epoch] if best_epoch is None else [record.epoch, best_epoch]
        connection.execute(delete(confusion).where(confusion.c.run_id == claim.run_id, confusion.c.epoch.not_in(kept)))
        return best_epoch == record.epoch

    return write(engine, work)


# -- rows --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rows:
    """An epoch as validated rows of the tables."""

    epochs: list[dict[str, Any]]
    classes: list[dict[str, Any]]
    matrices: list[dict[str, Any]]

    @classmethod
    def of(cls, run_id: int, record: EpochRecord) -> _Rows:
        if record.epoch < 1:
            raise StorageError(f"epoch is {record.epoch}; recorded epochs count from 1")
        if not record.splits:
            raise StorageError(f"epoch {record.epoch} has no split; expected some of {', '.join(SPLITS)}")
        common = {"run_id": run_id, "epoch": record.epoch}
        timing = {
            "seconds": _finite(record.seconds, "seconds", record),
            "lr": _finite(record.lr, "learning rate", record),
        }
        timing["info"] = _plain(dict(record.info), "info") or None
        epochs, classes = [], []
        for name, part in record.splits.items():
            key = common | {"split": split_number(name)}
            columns = _columns(name, part, record)
            epochs.append(key | timing | _summary(name, part, record))
            classes += [
                key | {"class_id": c, "support": s, "tp": t, "predicted": p, "weight": w}
                for c, (s, t, p, w) in enumerate(zip(*columns, strict=True))
            ]
        matrices = [
            common | {"split": split_number(name), **_cells(name, m, record)}
            for name, m in (record.confusion or {}).items()
        ]
        return cls(epochs, classes, matrices)

    def upsert(self, connection: Connection) -> None:
        for table, rows in ((epoch, self.epochs), (class_epoch, self.classes), (confusion, self.matrices)):
            if rows:
                connection.execute(upsert(connection, table), rows)

    def split(self, number: int) -> dict[str, Any] | None:
        return next((row for row in self.epochs if row["split"] == number), None)


def _finite(value: float | None, what: str, record: EpochRecord) -> float | None:
    if value is None:
        return None
    if not math.isfinite(value):
        raise StorageError(
            f"{what} of epoch {record.epoch} is {value}, expected a finite number; the epoch was not recorded"
        )
    return float(value)


def _summary(name: str, part: SplitRecord, record: EpochRecord) -> dict[str, Any]:
    row: dict[str, Any] = {"n": int(part.n), "top5": None if part.top5 is None else int(part.top5)}
    row["loss"] = _finite(part.loss, f"{name} loss", record)
    for key in METRICS:
        value = getattr(part, key)
        undefined = value is None or math.isnan(value)
        row[key] = None if undefined else _finite(value, f"{name} {key}", record)
    return row


def _columns(
    name: str, part: SplitRecord, record: EpochRecord
) -> tuple[list[int], list[int], list[int], list[float | None]]:
    """Support, tp, predicted and weight of a split as plain lists of equal length."""
    support, tp, predicted = (
        _counts(getattr(part, key), f"{name} {key}", record) for key in ("support", "tp", "predicted")
    )
    if not len(support) == len(tp) == len(predicted):
        raise StorageError(
            f"{name} of epoch {record.epoch}: support, tp and predicted have {len(support)}, {len(tp)} and {len(predicted)} classes"
        )
    if (tp > support).any() or (tp > predicted).any():
        c = int(np.argmax((tp > support) | (tp > predicted)))
        raise StorageError(
            f"{name} of epoch {record.epoch}, class {c}: tp {tp[c]} exceeds support {support[c]} or predicted {predicted[c]}"
        )
    return support.tolist(), tp.tolist(), predicted.tolist(), _weights(record, len(support))


def _counts(values: ArrayLike, what: str, record: EpochRecord) -> Counts:
    given = np.asarray(values)
    counts = given.astype(np.int64)
    if given.ndim != 1 or (counts != given).any() or (counts < 0).any():
        raise StorageError(f"{what} of epoch {record.epoch} must be whole numbers of at least 0, one per class")
    return counts


def _weights(record: EpochRecord, classes: int) -> list[float | None]:
    if record.weight is None:
        return [None] * classes
    weight = np.asarray(record.weight, dtype=np.float64)
    if weight.shape != (classes,) or not np.isfinite(weight).all():
        raise StorageError(f"weight of epoch {record.epoch} must be {classes} finite numbers, one per class")
    return weight.tolist()


def _cells(name: str, matrix: ArrayLike, record: EpochRecord) -> dict[str, Any]:
    given = np.asarray(matrix)
    if given.ndim != 2 or given.shape[0] != given.shape[1]:
        raise StorageError(
            f"{name} confusion of epoch {record.epoch} has shape {given.shape}, expected one row and one column per class"
        )
    return {"classes": given.shape[0], "cells": pack(given)}


def _plain(value: Any, what: str) -> Any:
    """The value as JSON can store it: numpy to plain, NaN to None. Anything else that JSON cannot express raises StorageError."""
    try:
        plain = _without_nan(value)
        strict_json(plain)
    except (TypeError, ValueError) as error:
        raise StorageError(f"{what} cannot be stored: {error}") from None
    return plain


def _without_nan(value: Any) -> Any:
    """A TPR without samples is NaN in an array and null in the database; infinity stays, so that strict_json refuses it."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(k): _without_nan(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value


# -- final and best ----------------------------------------------------------------------------------------------


def _prefixed(prefix: str, row: Mapping[str, Any] | None) -> dict[str, Any]:
    return {f"{prefix}_{key}": None if row is None else row[key] for key in SUMMARY}


def _stored(connection: Connection, run_id: int, number: int, split: int) -> Mapping[str, Any] | None:
    key = and_(epoch.c.run_id == run_id, epoch.c.epoch == number, epoch.c.split == split)
    return connection.execute(select(epoch).where(key)).mappings().one_or_none()


def _seconds_of(connection: Connection, run_id: int, number: int) -> float | None:
    return connection.scalar(select(epoch.c.seconds).where(epoch.c.run_id == run_id, epoch.c.epoch == number).limit(1))


def _best(connection: Connection, run_id: int, again: bool, best_score: float | None, rows: _Rows) -> dict[str, Any]:
    """Changes of the best_* columns; none if an earlier epoch stays the best. After an epoch trained again, all are compared."""
    if again:
        return _best_of_all(connection, run_id)
    validation = rows.split(VALIDATION)
    score = None if validation is None else validation["balanced_accuracy"]
    if score is None or (best_score is not None and score <= best_score):
        return {}
    return {"best_epoch": validation["epoch"], "best_score": score, **_prefixed("best", rows.split(TEST))}


def _best_of_all(connection: Connection, run_id: int) -> dict[str, Any]:
    mine = and_(epoch.c.run_id == run_id, epoch.c.split == VALIDATION, epoch.c.balanced_accuracy.is_not(None))
    top = (
        select(epoch.c.epoch, epoch.c.balanced_accuracy)
        .where(mine)
        .order_by(epoch.c.balanced_accuracy.desc(), epoch.c.epoch)
        .limit(1)
    )
    found = connection.execute(top).one_or_none()
    if found is None:
        return {"best_epoch": None, "best_score": None, **_prefixed("best", None)}
    return {
        "best_epoch": found.epoch,
        "best_score": found.balanced_accuracy,
        **_prefixed("best", _stored(connection, run_id, found.epoch, TEST)),
    }
