"""The counts of every epoch and class of a run: the one wide read, and therefore cached.

The cache is per engine; a later call reads only the epochs added since. A claim records one epoch after the other, but
may start with one that an earlier claim has already recorded: until the claim has been seen to record an epoch, everything
is read again. Epochs beyond the run's last one, of an earlier claim that had got further, are not shown.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass, fields
from itertools import chain
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, and_, func, select

from storage.db.connection import reading
from storage.db.schema import class_epoch, epoch, run
from storage.jobs.queue import UnknownRunError
from storage.results.class_counts import split_number

KEPT = 16  # histories per engine; one of 1,000 classes x 90 epochs takes 3 MB


@dataclass(frozen=True)
class ClassHistory:
    """Counts per epoch and class of one split. The arrays are shared between callers and cannot be written to."""

    epochs: NDArray[np.int64]  # [E], ascending
    support: NDArray[np.int64]  # [E, C]
    tp: NDArray[np.int64]  # [E, C]
    predicted: NDArray[np.int64]  # [E, C]
    weight: NDArray[np.float64] | None  # [E, C]; NaN in epochs without weights, None if no epoch has any


@dataclass(frozen=True)
class _Seen:
    token: int
    last: int
    seconds: float  # changes with every record: if equal, nothing was recorded in between
    settled: (
        bool  # the claim has recorded an epoch, or is the first: the epochs here will not be trained again under it
    )
    history: ClassHistory


_seen: WeakKeyDictionary[Engine, OrderedDict[tuple[int, int], _Seen]] = WeakKeyDictionary()
_lock = threading.Lock()


def class_history(engine: Engine, run_id: int, split: str) -> ClassHistory:
    """Counts per epoch and class; no epochs if nothing is recorded yet. An unknown run or split raises StorageError."""
    key = int(run_id), split_number(split)
    with _lock:
        seen = _seen.setdefault(engine, OrderedDict()).get(key)
    with reading(engine) as connection:
        now = connection.execute(
            select(run.c.token, run.c.last_epoch, run.c.seconds).where(run.c.id == run_id)
        ).one_or_none()
        if now is None:
            raise UnknownRunError(run_id)
        if seen is not None and (seen.token, seen.last, seen.seconds) == tuple(now):
            return seen.history
        same = seen is not None and seen.token == now.token
        grows = same and seen.settled and 0 < seen.last < now.last_epoch
        fresh = _read(connection, *key, after=seen.last if grows else 0, last=now.last_epoch)
    history = _joined(seen.history, fresh) if grows else fresh
    with _lock:
        kept = _seen.setdefault(engine, OrderedDict())
        kept[key] = _Seen(*now, same or now.token == 1, history)
        kept.move_to_end(key)
        while len(kept) > KEPT:
            kept.popitem(last=False)
    return history


def _read(connection: Connection, run_id: int, split: int, after: int, last: int) -> ClassHistory:
    """The epochs after `after` up to `last`, straight from the driver's cursor: a Row object for each of 90,000 rows doubles the time."""
    t = class_epoch.c
    mine = and_(t.run_id == run_id, t.split == split, t.epoch > after, t.epoch <= last)
    e = epoch.c
    numbers = connection.scalars(
        select(e.epoch).where(e.run_id == run_id, e.split == split, e.epoch > after, e.epoch <= last).order_by(e.epoch)
    ).all()
    weighted = connection.scalars(select(t.weight).where(mine, t.weight.is_not(None)).limit(1)).first() is not None
    # No weight is infinite, so infinity can stand for "none" until it becomes NaN, which SQLite cannot store.
    columns = [t.support, t.tp, t.predicted] + ([func.coalesce(t.weight, math.inf)] if weighted else [])
    result = connection.execute(select(*columns).where(mine).order_by(t.epoch, t.class_id))
    # Read together with a weight, counts pass through float64: exact below 2^53.
    flat = np.fromiter(chain.from_iterable(result.cursor), dtype=np.float64 if weighted else np.int64)
    result.close()
    shape = (len(numbers), -1, len(columns)) if numbers else (0, 0, len(columns))
    cube = flat.reshape(shape)
    support, tp, predicted = (cube[:, :, i].astype(np.int64) for i in range(3))
    weight = np.where(np.isinf(cube[:, :, 3]), np.nan, cube[:, :, 3]) if weighted else None
    return _frozen(ClassHistory(np.array(numbers, dtype=np.int64), support, tp, predicted, weight))


def _joined(old: ClassHistory, new: ClassHistory) -> ClassHistory:
    if len(new.epochs) == 0:
        return old
    counts = [
        np.concatenate([getattr(old, name), getattr(new, name)]) for name in ("epochs", "support", "tp", "predicted")
    ]
    weight = None
    if old.weight is not None or new.weight is not None:
        none = (np.full(h.support.shape, np.nan) for h in (old, new))
        weight = np.concatenate(
            [gap if h.weight is None else h.weight for h, gap in zip((old, new), none, strict=True)]
        )
    return _frozen(ClassHistory(*counts, weight))


def _frozen(history: ClassHistory) -> ClassHistory:
    for f in fields(history):
        if (values := getattr(history, f.name)) is not None:
            values.setflags(write=False)
    return history
