"""Which checkpoint files a run has, with their checksums. The files themselves: storage/results/checkpoint_files.py."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, select

from storage.db.connection import reading, upsert, write
from storage.db.data_folder import RUNS
from storage.db.errors import StorageError
from storage.db.paths import data_root
from storage.db.schema import checkpoint, run
from storage.jobs.events import moment
from storage.jobs.queue import Claim, Lost, hold
from storage.results.checkpoint_files import prune, sweep

KEPT = {"last": 2, "best": 1}  # number kept of each kind; the second last is used if the last turns out to be damaged


@dataclass(frozen=True)
class CheckpointRow:
    """A checkpoint. `epoch` is the number of epochs done, `path` absolute, `bytes` the size of the file."""

    run_id: int
    kind: str
    epoch: int
    path: Path
    sha256: str
    bytes: int
    at: datetime


def record_checkpoint(
    engine: Engine, claim: Claim, epoch: int, kinds: Sequence[str], path: Path | str, sha256: str, bytes: int
) -> list[Path]:
    """Record a checkpoint file as "last", "best" or both; returns the files that no row refers to any more, for `checkpoint_files.prune`.

    The last two and the best are kept. A file in the data folder is stored relative to it. Raises Lost if the claim has ended.
    """
    if unknown := [kind for kind in kinds if kind not in KEPT]:
        raise StorageError(f"unknown kind of checkpoint {unknown[0]!r}; known: {', '.join(KEPT)}")
    row = {
        "run_id": claim.run_id,
        "epoch": epoch,
        "path": _stored(path),
        "sha256": sha256,
        "bytes": bytes,
        "at": time.time(),
    }

    def work(connection: Connection) -> list[Path]:
        hold(connection, claim)
        before = _paths(connection, claim.run_id)
        for kind in kinds:
            connection.execute(upsert(connection, checkpoint), row | {"kind": kind})
            mine = (checkpoint.c.run_id == claim.run_id, checkpoint.c.kind == kind)
            newest = select(checkpoint.c.epoch).where(*mine).order_by(checkpoint.c.epoch.desc()).limit(KEPT[kind])
            older = checkpoint.c.epoch.not_in(connection.scalars(newest).all())
            connection.execute(delete(checkpoint).where(*mine, older))
        return [data_root() / p for p in sorted(before - _paths(connection, claim.run_id))]

    return write(engine, work)


def _stored(path: Path | str) -> str:
    full, root = (data_root() / path).resolve(), data_root()
    return full.relative_to(root).as_posix() if full.is_relative_to(root) else str(full)


def _paths(connection: Connection, run_id: int) -> set[str]:
    return set(connection.scalars(select(checkpoint.c.path).where(checkpoint.c.run_id == run_id)))


def paths_of(connection: Connection, run_ids: list[int]) -> list[Path]:
    """The checkpoint files of these runs."""
    rows = connection.scalars(select(checkpoint.c.path).where(checkpoint.c.run_id.in_(run_ids)).distinct())
    return [data_root() / p for p in rows]


def run_folder(run_id: int) -> Path:
    """The folder of a run's checkpoint files."""
    return data_root() / RUNS / str(run_id)


def mark_of(created_at: float) -> str:
    """The mark in the names of a run's files, made of its creation time: another database in this data folder may have a run
    with the same number. (A copied database has the same marks: it needs its own data folder, see docs/architecture.md.)"""
    return hashlib.sha256(f"{created_at:.6f}".encode()).hexdigest()[:8]


def file_name(engine: Engine, claim: Claim, epoch: int, step: int) -> str:
    """The file name of a checkpoint written now: epochs done, steps into the next one, the run's mark and the claim's token.

    The token keeps a worker that was declared dead from overwriting its successor's file. Raises Lost if the run was deleted.
    """
    with reading(engine) as connection:
        mark = _mark(connection, claim.run_id)
    return f"epoch-{epoch:05d}{f'-step-{step}' if step else ''}-{mark}-{claim.token}.pt"


def sweep_run(engine: Engine, claim: Claim) -> list[Path]:
    """Remove what dead writers left of a claimed run: *.tmp, and files with its mark that no row refers to.

    A kill between a file's rename and its row leaves such a file. Returns the removed files. Raises Lost if the claim has ended.
    """

    def work(connection: Connection) -> list[Path]:
        hold(connection, claim)  # no other worker can claim the run, and write a file without a row, until this ends
        return prune(unnamed(connection, claim.run_id))

    return [*sweep(run_folder(claim.run_id)), *write(engine, work)]


def unnamed(connection: Connection, run_id: int, *, parts: bool = False) -> list[Path]:
    """The files with a run's mark that no row refers to; `parts`: also incomplete ones."""
    named = {Path(path).name for path in _paths(connection, run_id)}  # by name: the folder may have been moved
    found = run_folder(run_id).glob(f"*-{_mark(connection, run_id)}-*.pt{'*' if parts else ''}")
    return sorted(path for path in found if path.name not in named)


def remove_folders(run_ids: Iterable[int]) -> None:
    """Remove the empty folders of these runs; a folder with files of another database stays."""
    for run_id in run_ids:
        with suppress(OSError):  # not empty, or missing
            run_folder(run_id).rmdir()


def _mark(connection: Connection, run_id: int) -> str:
    created_at = connection.scalar(select(run.c.created_at).where(run.c.id == run_id))
    if created_at is None:
        raise Lost(f"run {run_id} was deleted")
    return mark_of(created_at)


def list_checkpoints(engine: Engine, run_id: int) -> list[CheckpointRow]:
    """A run's checkpoints, newest first. Reads no file: `checkpoint_files.read` checks the bytes."""
    newest = (
        select(checkpoint)
        .where(checkpoint.c.run_id == run_id)
        .order_by(checkpoint.c.epoch.desc(), checkpoint.c.kind.desc())
    )
    with reading(engine) as connection:
        rows = connection.execute(newest).all()
    return [
        CheckpointRow(r.run_id, r.kind, r.epoch, data_root() / r.path, r.sha256, r.bytes, moment(r.at)) for r in rows
    ]
