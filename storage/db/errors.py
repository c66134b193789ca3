"""The errors of the database."""

from __future__ import annotations

from core.errors import EvenlyError


class StorageError(EvenlyError):
    """The database or a checkpoint cannot be used; the text says why and what to do."""


class Unavailable(StorageError):  # noqa: N818 - it passes
    """Locked, full or unreachable at the moment: the operation can be retried. Workers wait and do not fail the run."""


def no_database(name: str) -> StorageError:
    return StorageError(f"no database at {name} yet; `make run` or `python -m storage.db.migrate` creates it")


def not_migrated(name: str) -> StorageError:
    return StorageError(
        f"the database {name} was written by an older Evenly; `make run` or `python -m storage.db.migrate` upgrades it"
    )
