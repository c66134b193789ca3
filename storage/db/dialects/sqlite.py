"""SQLite: which library, its settings, transactions that wait for the write lock, error messages, backups.

Every writer opens its transaction with BEGIN IMMEDIATE: a transaction that reads first and writes later is refused at
once when another has committed in between, and no timeout helps (SQLITE_BUSY_SNAPSHOT). Readers use a plain BEGIN.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects.sqlite import Insert, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from storage.db.errors import StorageError, Unavailable, no_database, not_migrated

log = logging.getLogger("evenly.storage")

USUAL = "evenly.db"  # the file, unless EVENLY_DATABASE_URL names another
MOUNTS = Path("/proc/self/mounts")
SAFE_SQLITE = (3, 51, 3)  # older ones can damage a WAL database when two connections write at the same moment
SYNCHRONOUS = {
    "worker": "FULL",
    "page": "NORMAL",
}  # a worker's epoch survives a power cut, a page need not wait for the disk
LOCK_SECONDS = 60.0
NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "lustre",
    "gpfs",
    "beegfs",
    "afs",
    "glusterfs",
    "fuse.glusterfs",
    "fuse.sshfs",
)
REASONS = {
    5: "is locked by another program and was not released; close that program and try again",
    6: "is locked by another program and was not released; close that program and try again",
    8: "is read-only; make the file and its folder writable, or set EVENLY_DATA to a folder you may write to",
    10: "cannot be read or written at the moment (disk error); check the disk, its quota "
    "and the limit on file size (ulimit -f), and try again",
    11: "is damaged; move it away and restore a copy (*.backup.db beside it, if there is one)",
    13: "could not grow: the disk is full and nothing was written; free some space and try again",
    26: "is not an Evenly database; move it away or set EVENLY_DATABASE_URL to another file",
}
BUSY = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED
PASSING = (*BUSY, 10, 13)  # temporary: IOERR (a quota, a limit, a disk that comes back), FULL
DAMAGE = (522, 8202, 8458)  # IOERR_SHORT_READ, IOERR_DATA, IOERR_CORRUPTFS: retrying would not help


@cache
def sqlite_module() -> ModuleType:
    """The newest SQLite available: the interpreter's own if it is current, else the pysqlite3 wheel if it is installed."""
    if sqlite3.sqlite_version_info >= SAFE_SQLITE:
        return sqlite3
    try:
        import pysqlite3
    except ImportError:
        log.warning("%s", _old(sqlite3))
        return sqlite3
    return pysqlite3


def _old(module: ModuleType) -> str:
    return (
        f"SQLite {module.sqlite_version} can, rarely, damage a database that two processes write to at once; "
        "install the package pysqlite3 or a Python with SQLite 3.51.3 or newer"
    )


class Sqlite:
    """A dialect of `storage.db.dialects`: one file on a local disk, with a write-ahead log."""

    scheme = "sqlite"
    expected = "a file: sqlite:///path/to/evenly.db"

    def usual_url(self, root: Path) -> URL:
        """The database in a data folder."""
        return URL.create(self.scheme, database=str(root / USUAL))

    def checked(self, url: URL) -> URL | None:
        if url.database in (None, "", ":memory:"):
            return None
        return url.set(database=str(Path(url.database).expanduser().resolve()))

    def connect(self, url: URL, role: str, timeout: float, options: dict[str, Any]) -> Engine:
        module, uri = sqlite_module(), _path(url).as_uri() + "?mode=rw"
        module.register_adapter(np.int64, int)  # an id out of a data frame would be stored as eight raw bytes

        def connect() -> Any:
            return module.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)

        pool = {"poolclass": QueuePool, "pool_size": 5, "max_overflow": 20}
        engine = create_engine(url, module=module, creator=connect, **pool, **options)
        event.listen(engine, "connect", lambda connection, _: _prepare(connection, role, _path(url)))
        return engine

    def begin(self, connection: Connection, *, writes: bool) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    def upsert(self, table: Table) -> Insert:
        return _upsert(table)

    def busy(self, error: DBAPIError) -> bool:
        return _code(error) in BUSY

    def explained(self, error: DBAPIError, engine: Engine) -> Exception:
        code, path = _code(error), _path(engine.url)
        if _extended_code(error) in DAMAGE:
            return StorageError(
                f"the database {path} cannot be read (disk error) and may be damaged; check the disk, then restore a copy"
            )
        if code in REASONS:
            kind = Unavailable if code in PASSING else StorageError
            return kind(f"the database {path} {REASONS[code]}")
        if code == 14:
            return StorageError(_cannot_open(path))
        if code == 1 and "no such" in str(error.orig):
            return not_migrated(str(path))
        if code == 19:
            return StorageError(f"the database refused the record: {error.orig}")
        return error

    def identity(self, url: URL) -> str:
        return url.database

    def folder(self, url: URL) -> Path:
        return _path(url).parent

    def locks(self, url: URL) -> Path:
        """`locks` beside evenly.db, `other.db.locks` beside other.db."""
        path = _path(url)
        return path.with_name("locks" if path.name == USUAL else f"{path.name}.locks")

    def warning(self) -> str | None:
        module = sqlite_module()
        return None if module.sqlite_version_info >= SAFE_SQLITE else _old(module)

    def is_new(self, url: URL) -> bool:
        path = _path(url)
        return not path.exists() or not path.stat().st_size

    def create(self, url: URL) -> None:
        path = _path(url)
        kind = _file_system(path)
        if kind in NETWORK:
            raise StorageError(
                f"{path} is on a network file system ({kind}), where SQLite cannot be shared; set EVENLY_DATA to a local disk"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except OSError as error:
            raise StorageError(
                f"the database {path} cannot be created ({error.strerror}); set EVENLY_DATA to a folder you may write to"
            ) from error

    def check(self, url: URL) -> None:
        path = _path(url)
        if not path.exists():
            raise no_database(str(path))
        for place in (path, path.parent):
            if not os.access(place, os.W_OK):
                raise StorageError(
                    f"{place} is read-only for this user; make it writable, or set EVENLY_DATA to a folder you may write to"
                )

    @contextmanager
    def alone(self, url: URL) -> Iterator[None]:
        from filelock import FileLock, Timeout

        path = _path(url)
        lock = FileLock(path.with_name(path.name + ".lock"))
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise StorageError(
                f"another process has been upgrading {path} for {LOCK_SECONDS:.0f} s; wait for it or stop it"
            ) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def rebuilding(self, connection: Connection) -> Iterator[None]:
        """Dropping a table would delete all rows that reference it: foreign keys are off here and checked at the end."""
        path = _path(connection.engine.url)
        _outside(connection, "PRAGMA foreign_keys=OFF")
        try:
            with connection.execution_options(evenly_write=True).begin():
                yield
                if broken := connection.execute(text("PRAGMA foreign_key_check")).first():
                    raise StorageError(
                        f"the upgrade of {path} would break references ({broken}); nothing was changed; report this"
                    )
        finally:
            connection.invalidate()  # foreign_keys is off on this connection

    def backup_file(self, url: URL, version: str) -> Path:
        """The file of a backup before an upgrade to this version, beside the database."""
        path = _path(url)
        return path.with_name(f"{path.stem}-{version}.backup.db")

    def backup(self, connection: Connection, target: Path) -> None:
        """Copied by SQLite itself: copying the file would miss what is in the write-ahead log."""
        try:
            target.open("xb").close()
        except OSError as error:
            raise StorageError(
                f"the copy cannot be written to {target} ({error.strerror}); give a new file in an existing folder"
            ) from error
        try:
            _outside(connection, "VACUUM INTO ?", str(target))
        except StorageError:
            target.unlink()  # half a copy looks like a whole one
            raise


def _path(url: URL) -> Path:
    """The database's file."""
    return Path(url.database)


@cache
def _upsert(table: Table) -> Insert:
    statement, keys = insert(table), [c.name for c in table.primary_key]
    rest = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=rest)


def _prepare(connection: Any, role: str, path: Path) -> None:
    """Settings of a new connection. WAL is stored in the file; the others hold for the connection."""
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
            f"{path} cannot use a write-ahead log (SQLite returned {mode!r}); "
            "network file systems cannot: set EVENLY_DATA to a folder on a local disk"
        )


def _outside(connection: Connection, statement: str, *values: str) -> None:
    """Run a statement that SQLite allows only outside a transaction."""
    raw = connection.connection.driver_connection
    try:
        raw.execute(statement, values)
    except raw.Error as error:
        raise StorageError(f"SQLite refused {statement.split(' ?')[0]}: {error}") from error


def _code(error: DBAPIError) -> int:
    """SQLite's primary result code; 0 if the error did not come from SQLite."""
    return _extended_code(error) & 0xFF


def _extended_code(error: DBAPIError) -> int:
    """SQLite's extended result code; the primary code is its low eight bits."""
    return getattr(error.orig, "sqlite_errorcode", None) or 0


def _cannot_open(path: Path) -> str:
    if not path.exists():
        return str(no_database(str(path)))
    return f"the database {path} cannot be opened; make the file and its folder readable and writable for this user"


def _file_system(path: Path) -> str:
    """The type of the file system of a path, from Linux's list of mounts; "" on other systems."""
    if not MOUNTS.exists():
        return ""
    lines = [[os.fsdecode(field) for field in line.split()] for line in MOUNTS.read_bytes().splitlines()]
    over = [
        (len(f[1]), place, f[2]) for place, f in enumerate(lines) if path.is_relative_to(f[1].replace("\\040", " "))
    ]
    return max(over)[2] if over else ""
