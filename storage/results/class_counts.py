"""Per-epoch summaries, the class counts of one epoch, and confusion matrices, as numpy and pandas. All epochs: class_history.py."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray
from sqlalchemy import Engine, and_, select

from core.experiment.states import STATES
from core.metrics.classification import share
from core.split_names import SPLITS
from storage.db.connection import reading
from storage.db.errors import StorageError
from storage.db.schema import class_epoch, epoch, run
from storage.db.schema import confusion as confusion_table
from storage.db.schema import epoch as epoch_table
from storage.jobs.queue import UnknownRunError
from storage.results.confusion_codec import unpack
from storage.results.runs import RunRow

EPOCH_COLUMNS = (
    "run_id",
    "epoch",
    "split",
    "loss",
    "n",
    "accuracy",
    "balanced_accuracy",
    "tpr_mean",
    "tpr_variance",
    "tpr_min",
    "tpr_max",
    "ece",
    "top5",
    "seconds",
    "lr",
    "info",
)
WHOLE = ("run_id", "epoch", "n")


@dataclass(frozen=True)
class ClassCounts:
    """Counts per class of one split after one epoch; `weight` are the weights that epoch was trained with, None if none were set."""

    epoch: int
    support: NDArray[np.int64]  # [C]
    tp: NDArray[np.int64]  # [C]
    predicted: NDArray[np.int64]  # [C]
    weight: NDArray[np.float64] | None  # [C]


def split_number(split: str) -> int:
    """The number of a split in the tables; an unknown one raises StorageError."""
    if split not in SPLITS:
        raise StorageError(f"unknown split {split!r}; known: {', '.join(SPLITS)}")
    return SPLITS.index(split)


def epochs(engine: Engine, run_ids: Iterable[int], split: str | None = None) -> pd.DataFrame:
    """The summary of every epoch of these runs, one row per run, epoch and split, in that order.

    Epochs beyond a run's last one, which a resumed run will train again, are left out.
    """
    t = epoch_table.c
    query = (
        select(*(t[key] for key in EPOCH_COLUMNS))
        .join(run, run.c.id == t.run_id)
        .where(t.run_id.in_([int(i) for i in run_ids]), t.epoch <= run.c.last_epoch)
    )
    if split is not None:
        query = query.where(epoch_table.c.split == split_number(split))
    with reading(engine) as connection:
        rows = connection.execute(query.order_by(epoch_table.c.run_id, epoch_table.c.epoch, epoch_table.c.split)).all()
    columns = list(zip(*rows, strict=True)) or [()] * len(EPOCH_COLUMNS)
    return pd.DataFrame({key: _epoch_column(key, values) for key, values in zip(EPOCH_COLUMNS, columns, strict=True)})


def _epoch_column(key: str, values: tuple[Any, ...]) -> pd.Series | ExtensionArray | np.ndarray:
    if key == "split":
        return pd.array([SPLITS[v] for v in values], dtype="str")
    if key == "info":
        return pd.Series([v or {} for v in values], dtype=object)
    if key == "top5":
        return pd.array(values, dtype="Int64")
    return np.array(values, dtype=np.int64 if key in WHOLE else np.float64)


def class_counts(engine: Engine, run_id: int, split: str, epoch: int | None = None) -> ClassCounts:
    """Counts per class after an epoch, by default the last one. Raises StorageError if nothing is recorded there."""
    number = split_number(split)
    with reading(engine) as connection:
        last = connection.scalar(select(run.c.last_epoch).where(run.c.id == run_id))
        if last is None:
            raise UnknownRunError(run_id)
        at = last if epoch is None else int(epoch)
        key = and_(class_epoch.c.run_id == run_id, class_epoch.c.split == number, class_epoch.c.epoch == at)
        columns = (class_epoch.c.support, class_epoch.c.tp, class_epoch.c.predicted, class_epoch.c.weight)
        rows = connection.execute(select(*columns).where(key).order_by(class_epoch.c.class_id)).all()
    if not rows:
        raise StorageError(
            f"run {run_id} has nothing recorded for the {split} split at epoch {at}; its last epoch is {last}"
        )
    support, tp, predicted, weight = zip(*rows, strict=True)
    weights = None if weight[0] is None else np.array(weight, dtype=np.float64)
    return ClassCounts(at, *(np.array(v, dtype=np.int64) for v in (support, tp, predicted)), weights)


def validation_tprs(engine: Engine, run_id: int) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """The TPRs [C] of the validation split after a run's last epoch, as evidence for another run; their supports [C]; that epoch.

    NaN for a class without validation samples. Raises StorageError as `class_counts`.
    """
    counts = class_counts(engine, run_id, "validation")
    return share(counts.tp, counts.support), counts.support.astype(np.float64), counts.epoch


def confusion(engine: Engine, run_id: int, split: str, which: str = "last") -> tuple[int, NDArray[np.int64]] | None:
    """(epoch, [C, C] counts, rows by true class) after the last or the best epoch; None if none was kept."""
    if which not in ("last", "best"):
        raise StorageError(f"which is {which!r}, expected last or best")
    at = run.c.last_epoch if which == "last" else run.c.best_epoch
    t = confusion_table.c
    query = select(t.epoch, t.classes, t.cells).join(run, run.c.id == t.run_id)
    with reading(engine) as connection:
        row = connection.execute(
            query.where(t.run_id == run_id, t.split == split_number(split), t.epoch == at)
        ).one_or_none()
    return None if row is None else (row.epoch, unpack(row.cells, row.classes))


def measured(row: RunRow) -> None:
    """A run without a finished epoch raises StorageError."""
    if not row.last_epoch:
        raise StorageError(
            f"run {row.id} {STATES[row.status].clause} and has no finished epoch yet; wait for its first one"
        )


class BesideCounts(TypedDict):
    """The figures of a split after an epoch that do not follow from counts.

    top5  samples whose class was among the five highest scores; None with five classes or fewer
    ece   expected calibration error; None where it was not recorded
    """

    top5: int | None
    ece: float | None


def beside_counts(engine: Engine, run_id: int, split: str, at: int) -> BesideCounts:
    """Those of this epoch; None where nothing is recorded."""
    key = and_(epoch.c.run_id == run_id, epoch.c.epoch == at, epoch.c.split == split_number(split))
    with reading(engine) as connection:
        row = connection.execute(select(epoch.c.top5, epoch.c.ece).where(key)).one_or_none()
    return {"top5": None, "ece": None} if row is None else {"top5": row.top5, "ece": row.ece}
