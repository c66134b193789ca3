"""Which checkpoint files a run has, with their checksums. The files themselves: storage/checkpoints.py."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, select

from storage.checkpoints import prune, sweep
from storage.engine import StorageError, data_root, path_of, reading, write
from storage.events import moment
from storage.place import runs_folder
from storage.queue import Claim, hold
from storage.record import upsert
from storage.tables import checkpoint

KEPT = {"last": 2, "best": 1}  # so many of each kind; the second last is there for when the last turns out damaged


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
    engine: Engine, claim: Claim, epoch: int, kind: str, path: Path | str, sha256: str, bytes: int
) -> list[Path]:
    """Name a checkpoint file (kind "last" or "best"); returns the files that no row names any more, for `checkpoints.prune`.

    The last two and the best are kept. A file of the data folder is named relative to it. Raises Lost when the claim is over.
    """
    if kind not in KEPT:
        raise StorageError(f"unknown kind of checkpoint {kind!r}; known: {', '.join(KEPT)}")
    row = {
        "run_id": claim.run_id,
        "kind": kind,
        "epoch": epoch,
        "path": _stored(path),
        "sha256": sha256,
        "bytes": bytes,
        "at": time.time(),
    }

    def work(connection: Connection) -> list[Path]:
        hold(connection, claim)
        before = _paths(connection, claim.run_id)
        connection.execute(upsert(connection.dialect.name, checkpoint), row)
        mine = (checkpoint.c.run_id == claim.run_id, checkpoint.c.kind == kind)
        newest = select(checkpoint.c.epoch).where(*mine).order_by(checkpoint.c.epoch.desc()).limit(KEPT[kind])
        connection.execute(delete(checkpoint).where(*mine, checkpoint.c.epoch.not_in(connection.scalars(newest).all())))
        return [data_root() / p for p in sorted(before - _paths(connection, claim.run_id))]

    return write(engine, work)


def _stored(path: Path | str) -> str:
    full, root = (data_root() / path).resolve(), data_root()
    return full.relative_to(root).as_posix() if full.is_relative_to(root) else str(full)


def _paths(connection: Connection, run_id: int) -> set[str]:
    return set(connection.scalars(select(checkpoint.c.path).where(checkpoint.c.run_id == run_id)))


def paths_of(connection: Connection, run_ids: list[int]) -> list[Path]:
    """The files of these runs."""
    rows = connection.scalars(select(checkpoint.c.path).where(checkpoint.c.run_id.in_(run_ids)).distinct())
    return [data_root() / p for p in rows]


def run_folder(engine: Engine, run_id: int) -> Path:
    """Where the checkpoint files of a run lie."""
    return runs_folder(path_of(engine), data_root()) / str(run_id)


def sweep_run(engine: Engine, claim: Claim) -> list[Path]:
    """Remove what writers that died left of a claimed run: *.tmp, and checkpoint files that no row names.

    A kill between a file's rename and its row leaves such a file. Returns the removed. Raises Lost when the claim is over.
    """
    folder = run_folder(engine, claim.run_id)

    def work(connection: Connection) -> list[Path]:
        hold(connection, claim)  # until this transaction ends nobody else can claim the run and be about to name a file
        named = {
            Path(path).name for path in _paths(connection, claim.run_id)
        }  # by name: the folder may have been moved
        return prune(path for path in sorted(folder.glob("*.pt")) if path.name not in named)

    first = (
        claim.token == 1
    )  # nothing of this run can lie there yet; what does is an older database's run of this number
    return [*sweep(folder), *([] if first else write(engine, work))]


def list_checkpoints(engine: Engine, run_id: int) -> list[CheckpointRow]:
    """A run's checkpoints, the newest first. Reads no file: `checkpoints.read` checks the bytes."""
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
