"""Runs as people see them: the list, one run, its name, tags and note, archive and delete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray
from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, delete, func, or_, select, update

from core.experiment.baseline import GONE, DrawnRun
from core.experiment.config import RunConfig, from_dict
from core.experiment.facts import Facts
from core.experiment.states import BUSY, STATES
from core.methods import METHODS, takes_tprs
from storage.db.connection import reading, write
from storage.db.errors import StorageError
from storage.db.schema import LONGEST_NAME, detail, run
from storage.jobs.events import log_event, moment
from storage.jobs.queue import UnknownRunError
from storage.results.checkpoint_files import prune
from storage.results.checkpoint_rows import paths_of, remove_folders, unnamed

# what the list shows -> column of the table; the order of the frame
LISTED = {
    "id": run.c.id,
    "name": run.c.name,
    "status": run.c.status,
    "wanted": run.c.wanted,
    "created_at": run.c.created_at,
    "started_at": run.c.started_at,
    "finished_at": run.c.finished_at,
    "dataset": run.c.dataset,
    "model": run.c.model,
    "method": run.c.method,
    "seed": run.c.seed,
    "epochs": run.c.epochs,
    "last_epoch": run.c.last_epoch,
    "seconds": run.c.seconds,
    "baseline_id": run.c.baseline_id,
    "group_sha": run.c.group_sha,
    "tags": run.c.tags,
    "notes": run.c.notes,
    "archived": run.c.archived,
    "error": run.c.error,
    "attempt": run.c.attempt,
    "device": run.c.device,
    "accuracy": run.c.final_accuracy,
    "tpr_variance": run.c.final_tpr_variance,
    "tpr_min": run.c.final_tpr_min,
    "balanced_accuracy": run.c.final_balanced_accuracy,
    "best_epoch": run.c.best_epoch,
    "best_accuracy": run.c.best_accuracy,
    "best_tpr_variance": run.c.best_tpr_variance,
    "best_tpr_min": run.c.best_tpr_min,
}
TIMES = ("created_at", "started_at", "finished_at")
MAYBE_WHOLE = ("baseline_id", "best_epoch")
SEARCHED = (run.c.name, run.c.tags, run.c.notes, run.c.dataset, run.c.model, run.c.method)


@dataclass(frozen=True)
class RunRow:
    """One run. Figures are from the test split: after the last epoch, and `best_*` after the epoch best on validation.

    `last_epoch` is the number of epochs done. `facts` are at their defaults until the run has started.
    """

    id: int
    name: str
    status: str
    wanted: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    dataset: str
    model: str
    method: str
    seed: int
    epochs: int
    last_epoch: int
    seconds: float
    baseline_id: int | None
    group_sha: str
    tags: str
    notes: str
    archived: bool
    error: str | None
    attempt: int
    device: str | None
    accuracy: float | None
    tpr_variance: float | None
    tpr_min: float | None
    balanced_accuracy: float | None
    best_epoch: int | None
    best_accuracy: float | None
    best_tpr_variance: float | None
    best_tpr_min: float | None
    config_sha: str
    config: RunConfig
    facts: Facts


def list_runs(
    engine: Engine,
    *,
    archived: bool | None = False,
    ids: Iterable[int] | None = None,
    status: str | Sequence[str] | None = None,
    text: str | None = None,
    limit: int | None = None,
    baseline: int | None = None,
    dataset: str | None = None,
    columns: Sequence[str] = tuple(LISTED),
) -> pd.DataFrame:
    """Runs, newest first, one row each; the columns are the keys of LISTED, or the given ones of them.

    archived  False: only active runs, True: only archived ones, None: both. Ignored with `ids`
    status    one status or several; "stopped" is accepted for "cancelled"
    text      words, each found in name, tags, note, dataset, model or method, in any order and case; or ids
    baseline  runs whose baseline is this run
    dataset   runs on this dataset
    Times are UTC; integers that may be missing (baseline_id, best_epoch) have the dtype Int64 of pandas.
    """
    query = list_query(
        archived=archived,
        ids=ids,
        status=status,
        text=text,
        limit=limit,
        baseline=baseline,
        dataset=dataset,
        columns=columns,
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    listed = list(zip(*rows, strict=True)) or [()] * len(columns)
    return pd.DataFrame({key: _column(key, values) for key, values in zip(columns, listed, strict=True)})


def list_query(
    *,
    archived: bool | None,
    ids: Iterable[int] | None,
    status: str | Sequence[str] | None,
    text: str | None,
    limit: int | None,
    baseline: int | None = None,
    dataset: str | None = None,
    columns: Sequence[str] = tuple(LISTED),
) -> Select:
    """The one narrow query behind the list."""
    query = select(*(LISTED[key].label(key) for key in columns)).order_by(run.c.id.desc()).limit(limit)
    if ids is not None:
        query = query.where(run.c.id.in_([int(i) for i in ids]))
    elif archived is not None:
        query = query.where(run.c.archived.is_(archived))
    if baseline is not None:
        query = query.where(run.c.baseline_id == baseline)
    if dataset is not None:
        query = query.where(run.c.dataset == dataset)
    if status is not None:
        query = query.where(run.c.status.in_(_known([status] if isinstance(status, str) else list(status))))
    if text and text.strip():
        query = query.where(*map(_matches, text.split()))
    return query


STORED = {state.word: state.key for state in STATES}


def _known(statuses: list[str]) -> list[str]:
    statuses = [STORED.get(status, status) for status in statuses]
    for status in statuses:
        if status not in STATES:
            raise StorageError(f"unknown status {status!r}; known: {', '.join(STORED)}")
    return statuses


def _matches(text: str) -> ColumnElement[bool]:
    """The condition for one word of a search."""
    found = [column.icontains(text, autoescape=True) for column in SEARCHED]
    number = text.removeprefix("#")
    return (
        or_(*found, run.c.id == int(number))
        if number.isascii() and number.isdigit() and len(number) < 19
        else or_(*found)
    )


def _column(key: str, values: tuple[Any, ...]) -> pd.DatetimeIndex | ExtensionArray | np.ndarray:
    kind = LISTED[key].type.python_type
    if key in TIMES:
        seconds = np.array(values, dtype=np.float64)
        part, whole = np.modf(np.nan_to_num(seconds))  # rounded to the microsecond as `moment` does it
        micro = np.where(
            np.isnan(seconds),
            np.iinfo(np.int64).min,
            1_000_000 * whole.astype(np.int64) + np.rint(1e6 * part).astype(np.int64),
        )  # the least is NaT
        return pd.DatetimeIndex(micro.view("datetime64[us]")).tz_localize("UTC")
    if key in MAYBE_WHOLE:
        return pd.array(values, dtype="Int64")
    return pd.array(values, dtype="str") if kind is str else np.array(values, dtype=kind)


def get_run(engine: Engine, run_id: int) -> RunRow:
    """One run with its config and facts; an unknown id raises StorageError."""
    columns = [column.label(key) for key, column in LISTED.items()]
    with reading(engine) as connection:
        query = (
            select(*columns, run.c.config_sha, detail.c.config, detail.c.facts)
            .join(detail, detail.c.run_id == run.c.id)
            .where(run.c.id == run_id)
        )
        row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise UnknownRunError(run_id)
    parsed = {"config": from_dict(row["config"]), "facts": Facts.from_stored(row["facts"] or {})}
    values = dict(row) | {key: moment(row[key]) for key in TIMES} | parsed
    return RunRow(**{f.name: values[f.name] for f in fields(RunRow)})


def replicates(engine: Engine, run_id: int) -> list[int]:
    """Ids of the succeeded runs with the same settings except the seed, including this one if it has succeeded."""
    group = select(run.c.group_sha).where(run.c.id == run_id)
    with reading(engine) as connection:
        sha = connection.scalar(group)
        if sha is None:
            raise UnknownRunError(run_id)
        return list(
            connection.scalars(
                select(run.c.id).where(run.c.group_sha == sha, run.c.status == "succeeded").order_by(run.c.id)
            )
        )


# -- edits -------------------------------------------------------------------------------------------------------


def _set(engine: Engine, run_id: int, **values: str) -> None:
    def work(connection: Connection) -> None:
        if connection.execute(update(run).where(run.c.id == run_id).values(**values)).rowcount == 0:
            raise UnknownRunError(run_id)

    write(engine, work)


def set_tags(engine: Engine, run_id: int, tags: str) -> None:
    """Set the tags, separated by commas; stored without extra spaces, empty tags and duplicates."""
    _set(engine, run_id, tags=", ".join(tags_in(tags)))


def tags_in(text: str) -> list[str]:
    """The single tags, without extra spaces, empty tags and duplicates."""
    return list(dict.fromkeys(word for part in text.split(",") if (word := " ".join(part.split()))))


def retag(engine: Engine, ids: Iterable[int], add: str = "", remove: Sequence[str] = ()) -> None:
    """Add tags to each of the runs and remove others, in one transaction; deleted runs are skipped."""
    numbers = [int(i) for i in ids]

    def work(connection: Connection) -> None:
        for row in connection.execute(select(run.c.id, run.c.tags).where(run.c.id.in_(numbers))).all():
            kept = [*(tag for tag in tags_in(row.tags) if tag not in remove), add]
            connection.execute(update(run).where(run.c.id == row.id).values(tags=", ".join(tags_in(",".join(kept)))))

    write(engine, work)


def set_notes(engine: Engine, run_id: int, notes: str) -> None:
    """Set the note of a run, free text."""
    _set(engine, run_id, notes=notes)


def rename(engine: Engine, run_id: int, name: str) -> None:
    """Set a new name of 1 to LONGEST_NAME characters."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= LONGEST_NAME:
        raise StorageError(f"a run's name needs 1 to {LONGEST_NAME} characters, got {len(name)}")
    _set(engine, run_id, name=name)


def archive(engine: Engine, ids: Iterable[int], flag: bool = True) -> None:
    """Archive runs, or restore them. Nothing is deleted; the list leaves archived runs out."""
    numbers = [int(i) for i in ids]
    write(
        engine,
        lambda connection: connection.execute(update(run).where(run.c.id.in_(numbers)).values(archived=bool(flag))),
    )


def delete_runs(engine: Engine, ids: Iterable[int]) -> list[Path]:
    """Delete runs with their results and checkpoint files; returns the files removed. Already deleted runs are skipped.

    Raises StorageError, and deletes nothing, while one is running or while an unfinished run needs one as its baseline.
    A finished run whose baseline is deleted keeps its evidence in its facts and no longer refers to the baseline.
    """
    numbers = [int(i) for i in ids]

    def work(connection: Connection) -> tuple[list[Path], Sequence[int]]:
        _check_deletable(connection, numbers)
        existing = connection.scalars(select(run.c.id).where(run.c.id.in_(numbers))).all()
        left = [path for number in existing for path in unnamed(connection, number, parts=True)]
        files = [*paths_of(connection, numbers), *left]
        for follower, baseline in connection.execute(
            select(run.c.id, run.c.baseline_id).where(run.c.baseline_id.in_(numbers))
        ):
            if follower not in numbers:
                log_event(connection, follower, "baseline", f"its baseline, run {baseline}, was deleted")
        connection.execute(delete(run).where(run.c.id.in_(numbers)))
        return files, existing

    files, existing = write(engine, work)
    removed = prune(files)
    remove_folders(existing)
    return removed


def _check_deletable(connection: Connection, numbers: list[int]) -> None:
    running = connection.scalar(select(run.c.id).where(run.c.id.in_(numbers), run.c.status == "running").limit(1))
    if running is not None:
        raise StorageError(f"run {running} is running; stop it first, then delete")
    needs = run.c.baseline_id.in_(numbers), run.c.id.not_in(numbers), run.c.status.in_(BUSY)
    follower = connection.execute(
        select(run.c.id, run.c.baseline_id, run.c.method, run.c.status).where(*needs).limit(1)
    ).one_or_none()
    if follower is None:
        return
    if (
        follower.method in METHODS and "network" in METHODS[follower.method].needs
    ):  # once stopped, it could not be resumed
        raise StorageError(
            f"run {follower.id} {STATES[follower.status].clause} and continues from the network of run {follower.baseline_id}: "
            "let it finish, or delete it too; "
            f"it could not be resumed without run {follower.baseline_id}"
        )
    raise StorageError(
        f"run {follower.id} still needs run {follower.baseline_id} as its baseline; stop or delete that one first"
    )


def drawn_by(engine: Engine, dataset: str) -> dict[int, DrawnRun]:
    """Number -> run, for every run on a dataset. Read in SQL, without loading the configs."""
    config = detail.c.config
    settings = {
        "imbalance": config["imbalance"].as_float(),
        "profile": config["profile"].as_string(),
        "validation": config["validation"].as_float(),
    }
    usual = [func.coalesce(column, getattr(RunConfig, key)).label(key) for key, column in settings.items()]
    query = (
        select(run.c.id, run.c.model, detail.c.facts["fingerprint"].as_string(), *usual)
        .join(detail, detail.c.run_id == run.c.id)
        .where(run.c.dataset == dataset)
    )
    with reading(engine) as connection:
        return {number: DrawnRun(*values) for number, *values in connection.execute(query)}


@dataclass(frozen=True)
class Origin:
    """Where the samples and the weights of a run come from; the fields are those of `core.comparison.pairing.Replicate`."""

    seed: int
    index_hash: str
    baseline: int | None
    baseline_seed: int | None


def origins(engine: Engine, row: RunRow) -> dict[int, Origin]:
    """Number -> run: this run and its succeeded replicates, oldest first."""
    first = run.alias("first")
    takes = (
        takes_tprs(row.config.method, row.config.params) and row.config.tpr is None
    )  # given TPRs do not come from a run
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
        number: Origin(seed, index_hash or "", (baseline or GONE) if takes else None, baseline_seed if takes else None)
        for number, seed, index_hash, baseline, baseline_seed in rows
    }
