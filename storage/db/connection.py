"""The database engine: opened, read and written, with errors a person can act on. What is specific to one kind of
database is in storage/db/dialects."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Executable, Table, event
from sqlalchemy.exc import DBAPIError

from storage.db.dialects import checked_url, dialect_of
from storage.db.errors import StorageError
from storage.db.paths import database_url

T = TypeVar("T")

BUSY_SECONDS = 5.0  # how long one try waits for a lock
TRIES = 5
ROLES = ("worker", "page")


def database_warning() -> str | None:
    """A warning about the database library in use; None if it has no known fault."""
    return dialect_of(checked_url(database_url())).warning()


def open_database(
    url: str | None = None, *, role: str = "page", timeout: float = BUSY_SECONDS, tries: int = TRIES
) -> Engine:
    """An engine on the database. Creates nothing and connects to nothing; `storage.db.migrate` creates and checks.

    role     "worker" (every commit reaches the disk) or "page"
    timeout  seconds one try waits for a lock; a write is tried `tries` times
    """
    if role not in ROLES:
        raise StorageError(f"role is {role!r}, expected one of {', '.join(ROLES)}")
    at = checked_url(url or database_url())
    options = {
        "json_serializer": strict_json,
        "execution_options": {"evenly_tries": tries},
    }
    engine = dialect_of(at).connect(at, role, timeout, options)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("evenly_write", False)
    dialect_of(connection.engine.url).begin(connection, writes=writes)


def write(engine: Engine, work: Callable[[Connection], T]) -> T:
    """`work(connection)` in one writing transaction: all of it or nothing. Retried from the start, only on a lock."""
    left = engine.get_execution_options()["evenly_tries"]
    while True:
        left -= 1
        try:
            with engine.connect().execution_options(evenly_write=True) as connection, connection.begin():
                return work(connection)
        except DBAPIError as error:
            dialect = dialect_of(engine.url)
            if left < 1 or not dialect.busy(error):
                raise dialect.explained(error, engine) from error
            time.sleep(random.SystemRandom().uniform(0.02, 0.4))  # random, so that two writers do not collide again


def once(engine: Engine) -> Engine:
    """The database for a caller with a retry loop of its own: a write is tried once."""
    return engine.execution_options(evenly_tries=1)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection whose statements all see one state of the database."""
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise dialect_of(engine.url).explained(error, engine) from error


def upsert(connection: Connection, table: Table) -> Executable:
    """INSERT that replaces the row of the same primary key, as the connection's database writes it."""
    return dialect_of(connection.engine.url).upsert(table)


def backup(engine: Engine, target: Path) -> None:
    """A whole copy in a new file, while others read and write. Raises StorageError."""
    with reading(engine) as connection:
        dialect_of(engine.url).backup(connection, target)


def strict_json(value: Any) -> str:
    """JSON with sorted keys. numpy values become plain ones; NaN or infinity raises ValueError.

    core.serialization.plain shows both as null; a database refuses them, so that no value is silently lost.
    """
    return json.dumps(value, sort_keys=True, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return value.tolist()
    raise TypeError(f"{value!r} cannot be stored as JSON")
