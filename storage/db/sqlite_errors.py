"""What SQLite's errors mean to a person."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from storage.db.errors import StorageError, Unavailable
from storage.db.paths import path_of


def _code(error: DBAPIError) -> int:
    """SQLite's primary result code; 0 where the error did not come from SQLite."""
    return _extended_code(error) & 0xFF


def _extended_code(error: DBAPIError) -> int:
    """SQLite's result code with its details, above the primary one's eight bits."""
    return getattr(error.orig, "sqlite_errorcode", None) or 0


REASONS = {
    5: "is locked by another program and did not come free; close that program and try again",
    6: "is locked by another program and did not come free; close that program and try again",
    8: "is read-only; make the file and its folder writable, or set EVENLY_DATA to a folder you may write to",
    10: "cannot be read or written just now (disk error); look at the disk, at its quota "
    "and at limits on the size of a file (ulimit -f), and try again",
    11: "is damaged; move it away and restore a copy (*.backup.db beside it, if there is one)",
    13: "could not grow: the disk is full and nothing was written; free some space and try again",
    26: "is not an Evenly database; move it away or set EVENLY_DATABASE_URL to another file",
}


PASSING = (5, 6, 10, 13)  # BUSY, LOCKED, IOERR (a quota, a limit, a disk that comes back), FULL
DAMAGE = (522, 8202, 8458)  # IOERR_SHORT_READ, IOERR_DATA, IOERR_CORRUPTFS: asking again would not help


def explained(error: DBAPIError, engine: Engine) -> Exception:
    """A StorageError in plain words; an error that is a bug of ours comes back as it is."""
    code, path = _code(error), path_of(engine)
    if _extended_code(error) in DAMAGE:
        return StorageError(
            f"the database {path} cannot be read (disk error) and may be damaged; look at the disk, then restore a copy"
        )
    if code in REASONS:
        kind = Unavailable if code in PASSING else StorageError
        return kind(f"the database {path} {REASONS[code]}")
    if code == 14:
        return StorageError(_cannot_open(path))
    if code == 1 and "no such" in str(error.orig):
        return not_migrated(path)
    if code == 19:
        return StorageError(f"the database refused the record: {error.orig}")
    return error


def _cannot_open(path: Path) -> str:
    if not path.exists():
        return str(no_database(path))
    return f"the database {path} cannot be opened; make the file and its folder readable and writable for this user"


def no_database(path: Path) -> StorageError:
    return StorageError(f"there is no database at {path} yet; `make run` or `python -m storage.db.migrate` creates it")


def not_migrated(path: Path) -> StorageError:
    return StorageError(
        f"the database {path} is of an older Evenly; `make run` or `python -m storage.db.migrate` brings it up to date"
    )
