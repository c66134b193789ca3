"""Database reads of the pages. One engine per process; growing tables are cached by (run, attempt, last epoch), never by age."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from sqlalchemy import Engine

from core.experiment.baseline import DrawnRun
from core.experiment.states import LIVE
from core.metrics.classification import share
from core.metrics.intervals import wilson
from reporting.run_report import RunReport
from reporting.tpr_series import ChartSide
from services import comparison
from storage import results
from storage.db.connection import open_database
from storage.db.migrate import check_schema
from storage.db.paths import database_url
from storage.jobs import change_stamp
from storage.jobs.workers import WorkerRow, newest
from storage.results.runs import LISTED, RunRow
from storage.results.runs import drawn_by as read_drawn_by

Confusion = tuple[int, NDArray[np.int64]]  # epoch, counts [C, C], rows by true class
# of a run: attempt, last epoch, seconds (which tell a repeated epoch apart), whether it is live
Stamp = tuple[int, int, float, bool]


@st.cache_resource(max_entries=4)
def _open(url: str) -> Engine:
    engine = open_database(url, role="page")
    check_schema(engine)
    return engine


def database() -> Engine:
    """The engine through which the pages read the database, one per process. Raises StorageError, with what to do,
    where the database cannot be used."""
    return _open(database_url())


def forget_database() -> None:
    """Reopen the database on the next read of a page, after a person has fixed it."""
    _open.clear()


def run(run_id: int) -> RunRow:
    """One run as the pages read it, uncached. Raises StorageError for an unknown id."""
    return results.get_run(database(), run_id)


def runs(
    *,
    archived: bool | None = False,
    ids: Iterable[int] | None = None,
    text: str | None = None,
    limit: int | None = None,
    dataset: str | None = None,
    columns: Sequence[str] = tuple(LISTED),
) -> pd.DataFrame:
    """The list of runs as the pages read it, uncached, newest first; filters as in `storage.results.list_runs`."""
    return results.list_runs(
        database(), archived=archived, ids=ids, text=text, limit=limit, dataset=dataset, columns=columns
    )


def newest_id(frame: pd.DataFrame) -> int:
    """The newest id in the list of runs that a page has read, 0 without runs. With archived runs in the frame, every
    submission changes it: the nonce of a submit key."""
    return 0 if frame.empty else int(frame["id"].max())


@st.cache_data(max_entries=16, show_spinner=False)
def _drawn_by(url: str, dataset: str, stamp: tuple[tuple[object, ...], ...]) -> dict[int, DrawnRun]:
    return read_drawn_by(database(), dataset)


def drawn_by(dataset: str) -> dict[int, DrawnRun]:
    """Cached: every run on a dataset, see `storage.results.runs.drawn_by`. It is final once it has started."""
    return _drawn_by(database_url(), dataset, change_stamp.stamp(database()))


def workers() -> list[WorkerRow]:
    """The newest worker of every slot, alive or not, uncached."""
    return newest(database())


@st.cache_data(max_entries=256, show_spinner=False)
def _epochs(url: str, run_id: int, stamp: Stamp) -> pd.DataFrame:
    return results.epochs(database(), [run_id])


@st.cache_data(max_entries=128, show_spinner=False)
def _history(url: str, run_id: int, split: str, stamp: Stamp) -> results.ClassHistory:
    return results.class_history(database(), run_id, split)


@st.cache_data(max_entries=512, show_spinner=False)
def _counts(url: str, run_id: int, split: str, epoch: int | None, stamp: Stamp) -> results.ClassCounts:
    return results.class_counts(database(), run_id, split, epoch)


@st.cache_data(max_entries=128, show_spinner=False)
def _confusion(url: str, run_id: int, split: str, which: str, stamp: Stamp) -> Confusion | None:
    return results.confusion(database(), run_id, split, which)


@st.cache_data(max_entries=128, show_spinner=False)
def _report(url: str, run_id: int, split: str, stamp: Stamp, _row: RunRow) -> RunReport:
    return comparison.report(database(), _row, split)


def _stamp(row: RunRow) -> Stamp:
    return row.attempt, row.last_epoch, row.seconds, row.status in LIVE


def epochs(row: RunRow) -> pd.DataFrame:
    """Cached: per-epoch summary of every split."""
    return _epochs(database_url(), row.id, _stamp(row))


def series(row: RunRow, split: str, column: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """One column of the cached `epochs` of a split: (epochs [E], ascending; values [E], NaN where missing)."""
    frame = epochs(row)
    mine = np.flatnonzero(frame["split"].to_numpy(object) == split)
    epoch, values = frame["epoch"].to_numpy()[mine], frame[column].to_numpy(float)[mine]
    order = np.argsort(epoch)
    return epoch[order], values[order]


def history(row: RunRow, split: str = "validation") -> results.ClassHistory:
    """Cached: class x epoch counts of a split."""
    return _history(database_url(), row.id, split, _stamp(row))


def counts(row: RunRow, split: str = "test", epoch: int | None = None) -> results.ClassCounts:
    """Cached: class counts of a split at an epoch, by default the last epoch of `row`, even if a newer one is recorded by now."""
    return _counts(database_url(), int(row.id), split, int(row.last_epoch) if epoch is None else epoch, _stamp(row))


def confusion(row: RunRow, split: str = "test", which: str = "last") -> Confusion | None:
    """Cached: (epoch, counts [C, C]) of the last or the best epoch; None where none is stored."""
    return _confusion(database_url(), row.id, split, which, _stamp(row))


def report(row: RunRow, split: str = "test") -> RunReport:
    """Cached: all figures of a split after the last epoch. Raises StorageError for a run without a finished epoch."""
    return _report(database_url(), row.id, split, _stamp(row), row)


def class_names(row: RunRow) -> list[str]:
    """Class names of a run that was read, as pages show them; empty before it starts."""
    return list(row.facts.classes)


def tpr_of(count: results.ClassCounts | results.ClassHistory) -> NDArray[np.float64]:
    """TPRs of counts or of a history that was read, [C] or [E, C]; NaN where a class has no samples."""
    return share(count.tp, count.support)


def chart_side(row: RunRow, label: str, split: str = "test") -> ChartSide:
    """A stored run as one side of the TPR chart, with Wilson limits, from its cached counts."""
    count = counts(row, split)
    return ChartSide(label, tpr_of(count), *wilson(count.tp, count.support))


def has_epochs(row: RunRow) -> bool:
    """Whether at least one epoch of a run that was read is finished."""
    return int(row.last_epoch) >= 1


@dataclass(frozen=True)
class Pair:
    """A finished weighted run (`after`) and its baseline (`before`)."""

    before: RunRow
    after: RunRow


def latest_pair(frame: pd.DataFrame) -> Pair | None:
    """Reads the newest succeeded run whose baseline has also succeeded on the same classes; None without one."""
    done = frame.loc[frame["status"] == "succeeded", ["id", "baseline_id"]]
    ids = set(done["id"])
    for record in done.sort_values("id", ascending=False).itertuples():
        if not pd.isna(record.baseline_id) and int(record.baseline_id) in ids:
            before, after = run(int(record.baseline_id)), run(int(record.id))
            if class_names(before) == class_names(after):
                return Pair(before, after)
    return None


def moment(value: datetime | None) -> datetime | None:
    """A time that was read from the database as a datetime; None where it is missing."""
    return None if value is None or pd.isna(value) else pd.Timestamp(value).floor("us").to_pydatetime()
