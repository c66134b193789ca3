"""The errors of the database."""

from __future__ import annotations

from pathlib import Path

from core.errors import EvenlyError


class StorageError(EvenlyError):
    """The database or a checkpoint cannot serve; the text says why and what to do."""


class Unavailable(StorageError):  # noqa: N818 - it passes
    """Locked, full or out of reach just now: what was asked can be asked again. Workers wait, they do not fail a run for it."""


def no_database(path: Path) -> StorageError:
    return StorageError(f"there is no database at {path} yet; `make run` or `python -m storage.db.migrate` creates it")


def not_migrated(path: Path) -> StorageError:
    return StorageError(
        f"the database {path} is of an older Evenly; `make run` or `python -m storage.db.migrate` brings it up to date"
    )
