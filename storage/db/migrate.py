"""Upgrades a database to the current schema, and refuses one with an unknown schema.

    python -m storage.db.migrate        creates or upgrades the database named by EVENLY_DATABASE_URL / EVENLY_DATA

Every start calls `check_schema`, so it must be quick: alembic is imported only when there is something to do.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from sqlalchemy import Engine, inspect, text

from core.errors import EvenlyError
from storage.db.connection import backup, open_database, reading
from storage.db.data_folder import check_place
from storage.db.dialects import dialect_of
from storage.db.errors import StorageError, Unavailable, not_migrated
from storage.db.paths import database_url, name_of

REVISIONS = ("0001", "0002", "0003")  # oldest first; each is a file in migrations/versions
MIGRATIONS = Path(__file__).with_name("migrations")


def check_schema(engine: Engine) -> None:
    """Return if the database can be used; else raise StorageError: missing, read-only, older, newer, not ours, of another data folder."""
    name = name_of(engine)
    dialect_of(engine.url).check(engine.url)
    found = revision(engine)
    if found is None or (found in REVISIONS and found != REVISIONS[-1]):
        raise not_migrated(name)
    _check_known(found, name)
    check_place(engine)


def revision(engine: Engine) -> str | None:
    """The schema's revision; None for an empty database. Tables of something else raise StorageError."""
    with reading(engine) as connection:
        names = inspect(connection).get_table_names()
        if "alembic_version" in names:
            return connection.scalar(text("SELECT version_num FROM alembic_version"))
    if names:
        raise StorageError(
            f"{name_of(engine)} holds tables of another program ({min(names)}); set EVENLY_DATABASE_URL to another file"
        )
    return None


def _check_known(found: str | None, name: str) -> None:
    if found is not None and found not in REVISIONS:
        raise StorageError(
            f"the database {name} was written by a newer Evenly (schema {found}, this one supports up to {REVISIONS[-1]}); update Evenly"
        )


def upgrade(engine: Engine) -> None:
    """Create the database or upgrade it to the newest schema; quick if there is nothing to do. An older one is copied first.

    Several processes may call this at once: one upgrades, the others wait. Raises StorageError like `check_schema`.
    """
    dialect, url = dialect_of(engine.url), engine.url
    if dialect.is_new(url) or not _at_head(engine):
        dialect.create(url)
        with dialect.alone(url):
            if not _at_head(engine):
                _copy(engine)
                _run_migrations(engine)
    check_place(engine)


def _at_head(engine: Engine) -> bool:
    dialect_of(engine.url).check(engine.url)
    found = revision(engine)
    _check_known(found, name_of(engine))
    return found == REVISIONS[-1]


def _copy(engine: Engine) -> None:
    """Back an older database up beside itself."""
    if (found := revision(engine)) is not None:
        target = dialect_of(engine.url).backup_file(engine.url, f"{found}-{time.strftime('%Y%m%d-%H%M%S')}")
        try:
            backup(engine, target)
        except Unavailable:
            raise
        except StorageError as error:
            raise StorageError(
                f"the database {name_of(engine)} could not be backed up before its upgrade ({error}); nothing was changed"
            ) from error


def _run_migrations(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with reading(engine) as connection, dialect_of(engine.url).rebuilding(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def main() -> int:
    """Upgrade and print where; an error goes to stderr as one line."""
    try:
        engine = open_database(database_url(), role="worker")
        upgrade(engine)
    except EvenlyError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"database ready: {name_of(engine)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
