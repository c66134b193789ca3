"""The databases that can keep Evenly's records, a module each, chosen by the scheme of EVENLY_DATABASE_URL.

Statements are SQLAlchemy's and the same for all. What differs stands behind `Dialect`: a new database is one more
module with a class of these methods, and its line in DIALECTS.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from storage.db.dialects.sqlite import Sqlite
from storage.db.errors import StorageError


class Dialect(Protocol):
    """What one kind of database does in its own way.

    scheme    of its addresses
    expected  what such an address looks like, in words that follow "expected"
    """

    scheme: str
    expected: str

    def checked(self, url: URL) -> URL | None:
        """The address, absolute; None where it names no database that several processes can share."""
        ...

    def connect(self, url: URL, role: str, timeout: float, options: dict[str, Any]) -> Engine:
        """An engine that has connected to nothing yet. `options` are for create_engine."""
        ...

    def begin(self, connection: Connection, *, writes: bool) -> None:
        """Open a transaction; one that writes waits its turn here."""
        ...

    def busy(self, error: DBAPIError) -> bool:
        """Whether another one's lock is all that was in the way."""
        ...

    def explained(self, error: DBAPIError, engine: Engine) -> Exception:
        """A StorageError in plain words; an error that is a bug of ours comes back as it is."""
        ...

    def identity(self, url: URL) -> Path:
        """The file that the database is: messages name it, and what belongs to it lies beside it."""
        ...

    def warning(self) -> str | None:
        """What to tell people about the version in use; None when it has no known fault."""
        ...

    def is_new(self, url: URL) -> bool:
        """Whether nothing was ever kept there."""
        ...

    def create(self, url: URL) -> None:
        """Make room for a database where there is none yet. Raises StorageError."""
        ...

    def check(self, url: URL) -> None:
        """Raise StorageError where it is absent or may not be written to."""
        ...

    def alone(self, url: URL) -> AbstractContextManager[None]:
        """Only one process at a time is in here. Raises StorageError when another one stays too long."""
        ...

    def rebuilding(self, connection: Connection) -> AbstractContextManager[None]:
        """A writing transaction in which tables may be dropped and made anew."""
        ...

    def backup(self, connection: Connection, target: Path) -> None:
        """A whole copy in a new file, while others read and write. Raises StorageError."""
        ...


DIALECTS: dict[str, Dialect] = {dialect.scheme: dialect for dialect in (Sqlite(),)}


def checked_url(text: str) -> URL:
    """The address of a database, absolute; StorageError naming what exists where it is none of DIALECTS."""
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
    """The row of a checked address."""
    return DIALECTS[url.get_backend_name()]
