"""The data folder that a database belongs to: the one its first worker used. Any other is refused.

Checkpoints, uploads and array files are stored there, with paths relative to it: in another folder a run would find none.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, insert, select

from storage.db.connection import reading, write
from storage.db.errors import StorageError
from storage.db.paths import data_root, folder_of, name_of
from storage.db.schema import place

log = logging.getLogger("evenly.storage")
RUNS = "runs"  # the folder of the checkpoints in the data folder


def check_place(engine: Engine) -> None:
    """Return if the database may be used with EVENLY_DATA as it is; else raise StorageError. Changes nothing."""
    with reading(engine) as connection:
        _refuse_another(connection, engine)


def settle(engine: Engine) -> None:
    """`check_place`; then record the current data folder if the database has none or its folder no longer exists.

    Two processes may call this at once, with different folders: the first one's is kept, the other raises StorageError.
    """
    folder = folder_of(engine)

    def work(connection: Connection) -> None:
        before = _recorded(connection, folder)
        _refuse_another(connection, engine)
        (data_root() / RUNS).mkdir(parents=True, exist_ok=True)  # marks the folder as the one with the checkpoints
        if before is not None and _same(before, data_root()):
            return
        if before is not None:
            log.warning(
                "the data folder %s of %s is missing; using %s from now on, checkpoints that are not there are lost",
                before,
                name_of(engine),
                data_root(),
            )
        connection.execute(delete(place))
        connection.execute(insert(place).values(id=1, data=_seen_from(folder, data_root())))

    write(engine, work)


def _recorded(connection: Connection, folder: Path) -> Path | None:
    data = connection.scalar(select(place.c.data))
    return None if data is None else (folder / data).resolve()


def _refuse_another(connection: Connection, engine: Engine) -> None:
    own, given = _recorded(connection, folder_of(engine)), data_root()
    if (
        own is None or not (own / RUNS).is_dir() or _same(own, given)
    ):  # a copy of the database alone may be read from anywhere
        return
    raise StorageError(
        f"the database {name_of(engine)} belongs to the data folder {own}, where its checkpoints are, not to {given}; "
        f"set EVENLY_DATA={own}, or EVENLY_DATABASE_URL to a database of its own"
    )


def _same(one: Path, other: Path) -> bool:
    """Whether both paths name one folder, also through a bind mount."""
    return one == other or (one.is_dir() and other.is_dir() and one.samefile(other))


def _seen_from(folder: Path, data: Path) -> str:
    try:
        return Path(os.path.relpath(data, folder)).as_posix()
    except ValueError:  # another drive
        return str(data)
