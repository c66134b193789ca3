"""The databases that Evenly supports, a module each, chosen by the scheme of EVENLY_DATABASE_URL.

Statements are SQLAlchemy's. What differs between databases is behind `Dialect`: a new one is one more module with a class
of these methods, and its line in DIALECTS.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, Executable, Table, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from storage.db.dialects.sqlite import Sqlite
from storage.db.errors import StorageError


class Dialect(Protocol):
    """What is specific to one kind of database.

    scheme    of its URLs
    expected  what such a URL looks like, in words that follow "expected"
    """

    scheme: str
    expected: str

    def checked(self, url: URL) -> URL | None:
        """The URL, with an absolute path; None if it names no database that several processes can share."""
        ...

    def connect(self, url: URL, role: str, timeout: float, options: dict[str, Any]) -> Engine:
        """An engine that has connected to nothing yet. `options` are for create_engine."""
        ...

    def begin(self, connection: Connection, *, writes: bool) -> None:
        """Open a transaction; one that writes waits here for the write lock."""
        ...

    def upsert(self, table: Table) -> Executable:
        """INSERT that replaces the row of the same primary key."""
        ...

    def busy(self, error: DBAPIError) -> bool:
        """Whether the error is only that another process holds a lock."""
        ...

    def explained(self, error: DBAPIError, engine: Engine) -> Exception:
        """A StorageError in plain words; an error caused by a bug of ours is returned unchanged."""
        ...

    def identity(self, url: URL) -> str:
        """How messages name the database."""
        ...

    def folder(self, url: URL) -> Path:
        """The folder that its data folder is recorded relative to."""
        ...

    def locks(self, url: URL) -> Path:
        """The folder for the locks and heartbeat files of its workers, which belongs to this database alone."""
        ...

    def warning(self) -> str | None:
        """A warning about the version in use; None if it has no known fault."""
        ...

    def is_new(self, url: URL) -> bool:
        """Whether nothing was ever stored there."""
        ...

    def create(self, url: URL) -> None:
        """Create an empty database if there is none. Raises StorageError."""
        ...

    def check(self, url: URL) -> None:
        """Raise StorageError if it is missing or not writable."""
        ...

    def alone(self, url: URL) -> AbstractContextManager[None]:
        """Lets one process at a time in. Raises StorageError if another one takes too long."""
        ...

    def rebuilding(self, connection: Connection) -> AbstractContextManager[None]:
        """A writing transaction in which tables may be dropped and created again."""
        ...

    def backup_file(self, url: URL, version: str) -> Path:
        """Where a copy of this version, a word for file names, is kept."""
        ...

    def backup(self, connection: Connection, target: Path) -> None:
        """A whole copy in a new file, while others read and write. Raises StorageError."""
        ...


USUAL = Sqlite()  # of a data folder, where EVENLY_DATABASE_URL names no other
DIALECTS: dict[str, Dialect] = {dialect.scheme: dialect for dialect in (USUAL,)}


def checked_url(text: str) -> URL:
    """The URL of a database, with an absolute path; StorageError, naming what is supported, if it is none of DIALECTS."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise _refusal(repr(text)) from None
    dialect = DIALECTS.get(url.get_backend_name())
    found = None if dialect is None else dialect.checked(url)
    if found is None:
        raise _refusal(url.render_as_string(hide_password=True))
    return found


def _refusal(shown: str) -> StorageError:
    return StorageError(
        f"EVENLY_DATABASE_URL is {shown}, expected {' or '.join(d.expected for d in DIALECTS.values())}"
    )


def dialect_of(url: URL) -> Dialect:
    """The dialect of a checked URL."""
    return DIALECTS[url.get_backend_name()]
