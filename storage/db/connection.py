"""The database engine: which SQLite, its settings, transactions that wait their turn, and errors a person can act on.

Every writer opens its transaction with BEGIN IMMEDIATE: a transaction that reads first and writes later is refused at
once when another has committed in between, and no timeout helps (SQLITE_BUSY_SNAPSHOT). Readers use a plain BEGIN.
"""

from __future__ import annotations

import json
import logging
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from storage.db.errors import StorageError
from storage.db.paths import _file_url, database_url
from storage.db.sqlite_errors import _code, explained

log = logging.getLogger("evenly.storage")
T = TypeVar("T")

SAFE_SQLITE = (3, 51, 3)  # older ones can damage a WAL database when two connections write at one moment
BUSY_SECONDS = 5.0  # how long one try waits for a lock
TRIES = 5
BUSY_CODES = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED
SYNCHRONOUS = {
    "worker": "FULL",
    "page": "NORMAL",
}  # a worker's epoch survives a power cut, a page need not wait for the disk


@cache
def sqlite_module() -> ModuleType:
    """The newest SQLite at hand: the interpreter's own if it is current, else the pysqlite3 wheel if it is installed."""
    if sqlite3.sqlite_version_info >= SAFE_SQLITE:
        return sqlite3
    try:
        import pysqlite3
    except ImportError:
        log.warning("%s", _old_sqlite(sqlite3))
        return sqlite3
    return pysqlite3


def _old_sqlite(module: ModuleType) -> str:
    return (
        f"SQLite {module.sqlite_version} can, rarely, damage a database that two processes write at once; "
        "install the package pysqlite3 or a Python with SQLite 3.51.3 or newer"
    )


def sqlite_warning() -> str | None:
    """What to tell people about the SQLite in use; None when it is current."""
    module = sqlite_module()
    return None if module.sqlite_version_info >= SAFE_SQLITE else _old_sqlite(module)


def open_database(
    url: str | None = None, *, role: str = "page", timeout: float = BUSY_SECONDS, tries: int = TRIES
) -> Engine:
    """An engine on the database. Creates nothing and connects to nothing; `storage.db.migrate` creates and checks.

    role     "worker" (every commit reaches the disk) or "page"
    timeout  seconds one try waits for a lock; a write is tried `tries` times
    """
    if role not in SYNCHRONOUS:
        raise StorageError(f"role is {role!r}, expected one of {', '.join(SYNCHRONOUS)}")
    at = _file_url(url or database_url())
    module, uri = sqlite_module(), Path(at.database).as_uri() + "?mode=rw"
    module.register_adapter(np.int64, int)  # an id out of a data frame would be stored as eight raw bytes

    def connect() -> Any:
        return module.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)

    engine = create_engine(
        at,
        module=module,
        creator=connect,
        poolclass=QueuePool,
        pool_size=5,
        max_overflow=20,
        json_serializer=strict_json,
        execution_options={"evenly_timeout": timeout, "evenly_tries": tries},
    )
    event.listen(engine, "connect", lambda connection, _: _prepare(connection, role, Path(at.database)))
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, role: str, path: Path) -> None:
    """Settings of a new connection. WAL is kept in the file; the others hold for the connection."""
    run = connection.execute
    run(f"PRAGMA synchronous={SYNCHRONOUS[role]}")
    run("PRAGMA foreign_keys=ON")
    run("PRAGMA cache_size=-16000")  # 16 MB
    run("PRAGMA journal_size_limit=67108864")  # 64 MiB
    if run("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    mode = run("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        raise StorageError(
            f"{path} cannot keep a write-ahead log (SQLite answered {mode!r}); "
            "network file systems cannot: set EVENLY_DATA to a folder on a local disk"
        )


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("evenly_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def write(engine: Engine, work: Callable[[Connection], T]) -> T:
    """`work(connection)` in one writing transaction: all of it or nothing. Tried again, from the start, on a lock only."""
    left = engine.get_execution_options()["evenly_tries"]
    while True:
        left -= 1
        try:
            with engine.connect().execution_options(evenly_write=True) as connection, connection.begin():
                return work(connection)
        except DBAPIError as error:
            if left < 1 or _code(error) not in BUSY_CODES:
                raise explained(error, engine) from error
            time.sleep(random.SystemRandom().uniform(0.02, 0.4))  # apart, lest two writers meet again


def once(engine: Engine) -> Engine:
    """The same database for one who waits for a lock in a loop of his own: a write is tried once."""
    return engine.execution_options(evenly_tries=1)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection whose statements all see one state of the database."""
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise explained(error, engine) from error


def strict_json(value: Any) -> str:
    """JSON with sorted keys. numpy values become plain ones; NaN or infinity raises ValueError.

    core.serialization.plain shows both as null; a database refuses them, so that no figure is lost on the way into it.
    """
    return json.dumps(value, sort_keys=True, allow_nan=False, default=_plain)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return value.tolist()
    raise TypeError(f"{value!r} has no place in JSON")
