"""Bringing a database up to this Evenly's schema, and refusing one that it does not know.

    python -m storage.db.migrate        creates or upgrades the database named by EVENLY_DATABASE_URL / EVENLY_DATA

Every start asks `check_schema`, so it must be quick: alembic is imported only when there is something to do.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from core.errors import EvenlyError
from storage.db.connection import open_database, reading
from storage.db.data_folder import check_place
from storage.db.errors import StorageError
from storage.db.paths import database_url, path_of
from storage.db.sqlite_errors import no_database, not_migrated

REVISIONS = ("0001", "0002", "0003")  # oldest first; each is a file in migrations/versions
MIGRATIONS = Path(__file__).with_name("migrations")
LOCK_SECONDS = 60.0
MOUNTS = Path("/proc/self/mounts")
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


def check_schema(engine: Engine) -> None:
    """Return if the database can serve; else raise StorageError: absent, read-only, older, newer or not ours, or of another data folder."""
    path = path_of(engine)
    if not path.exists():
        raise no_database(path)
    _check_writable(path)
    found = revision(engine)
    if found is None or (found in REVISIONS and found != REVISIONS[-1]):
        raise not_migrated(path)
    _check_known(found, path)
    check_place(engine)


def revision(engine: Engine) -> str | None:
    """The schema's revision; None for an empty database. Tables of something else raise StorageError."""
    with reading(engine) as connection:
        names = set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")))
        if "alembic_version" in names:
            return connection.scalar(text("SELECT version_num FROM alembic_version"))
    if names - {"sqlite_sequence"}:
        raise StorageError(
            f"{path_of(engine)} holds tables of another program ({min(names)}); set EVENLY_DATABASE_URL to another file"
        )
    return None


def _check_known(found: str | None, path: Path) -> None:
    if found is not None and found not in REVISIONS:
        raise StorageError(
            f"the database {path} was written by a newer Evenly (schema {found}, this one knows up to {REVISIONS[-1]}); update Evenly"
        )


def _check_writable(path: Path) -> None:
    for place in (path, path.parent):
        if not os.access(place, os.W_OK):
            raise StorageError(
                f"{place} is read-only for this user; make it writable, or set EVENLY_DATA to a folder you may write to"
            )


def upgrade(engine: Engine) -> None:
    """Create the database or bring it to the newest schema; nothing to do is quick. An older one is copied first.

    Several processes may call this at once: one works, the others wait. Raises StorageError like `check_schema`.
    """
    path = path_of(engine)
    if path.exists() and path.stat().st_size and _at_head(engine):
        check_place(engine)
        return
    from filelock import FileLock, Timeout

    _make_file(path)
    try:
        with FileLock(path.with_name(path.name + ".lock"), timeout=LOCK_SECONDS):
            if not _at_head(engine):
                _copy(engine, path)
                _run_migrations(engine)
    except Timeout:
        raise StorageError(
            f"another process has been upgrading {path} for {LOCK_SECONDS:.0f} s; wait for it or end it"
        ) from None
    check_place(engine)


def _at_head(engine: Engine) -> bool:
    _check_writable(path_of(engine))
    found = revision(engine)
    _check_known(found, path_of(engine))
    return found == REVISIONS[-1]


def _make_file(path: Path) -> None:
    kind = _file_system(path)
    if kind in NETWORK:
        raise StorageError(
            f"{path} lies on a network file system ({kind}), where SQLite cannot be shared; set EVENLY_DATA to a local disk"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise StorageError(
            f"the database {path} cannot be created ({error.strerror}); set EVENLY_DATA to a folder you may write to"
        ) from error


def _file_system(path: Path) -> str:
    """The kind of file system a path lies on, by Linux's list of mounts; "" elsewhere."""
    if not MOUNTS.exists():
        return ""
    lines = [[os.fsdecode(field) for field in line.split()] for line in MOUNTS.read_bytes().splitlines()]
    over = [
        (len(f[1]), place, f[2]) for place, f in enumerate(lines) if path.is_relative_to(f[1].replace("\\040", " "))
    ]
    return max(over)[2] if over else ""


def _copy(engine: Engine, path: Path) -> None:
    """A whole copy beside an older database, made by SQLite itself: copying the file would miss what is in the log."""
    found = revision(engine)
    if found is None:
        return
    target = path.with_name(f"{path.stem}-{found}-{time.strftime('%Y%m%d-%H%M%S')}.backup.db")
    with reading(engine) as connection:
        _outside(connection, "VACUUM INTO ?", str(target))


def _outside(connection: Connection, statement: str, *values: str) -> None:
    """Run what SQLite allows only outside of a transaction."""
    raw = connection.connection.driver_connection
    try:
        raw.execute(statement, values)
    except raw.Error as error:
        path = path_of(connection.engine)
        raise StorageError(
            f"the database {path} could not be prepared for its upgrade ({error}); nothing was changed"
        ) from error


def _run_migrations(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with reading(engine) as connection:
        # Rebuilding a table drops the old one, which would delete all rows that point at it.
        _outside(connection, "PRAGMA foreign_keys=OFF")
        try:
            with connection.execution_options(evenly_write=True).begin():
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                if broken := connection.execute(text("PRAGMA foreign_key_check")).first():
                    raise StorageError(
                        f"the upgrade of {path_of(engine)} would break references ({broken}); nothing was changed; report this"
                    )
        finally:
            connection.invalidate()  # foreign_keys is off on this one


def main() -> int:
    """Upgrade and say where; a refusal goes to stderr as one line."""
    try:
        engine = open_database(database_url(), role="worker")
        upgrade(engine)
    except EvenlyError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"database ready: {path_of(engine)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
