"""Where the data folder and the database are."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from sqlalchemy import Engine

from storage.db.dialects import USUAL, checked_url, dialect_of


def data_root() -> Path:
    """The data folder: EVENLY_DATA, or `data` beside the program."""
    if not (given := os.environ.get("EVENLY_DATA")):
        return _usual_root()
    path = Path(given).expanduser()
    return _resolved(path) if path.is_absolute() else path.resolve()


@cache
def _usual_root() -> Path:
    return Path(__file__).resolve().parents[2] / "data"


@cache
def _resolved(path: Path) -> Path:
    """Cached, because a page calls this dozens of times and each call would resolve the path again."""
    return path.resolve()


def database_url() -> str:
    """EVENLY_DATABASE_URL, or the usual database of the data folder."""
    return os.environ.get("EVENLY_DATABASE_URL") or _usual_url(data_root())


@cache
def _usual_url(root: Path) -> str:
    return str(USUAL.usual_url(root))


def lock_folder() -> Path:
    """The folder for the locks of the workers of the database that `database_url` names; StorageError if it names none."""
    url = checked_url(database_url())
    return dialect_of(url).locks(url)


def surroundings() -> dict[str, str]:
    """The variables that another shell needs to use the same data folder and database; those at their defaults are left out."""
    data, given = {}, os.environ.get("EVENLY_DATABASE_URL")
    if data_root() != _usual_root():
        data = {"EVENLY_DATA": str(data_root())}
    return data | ({"EVENLY_DATABASE_URL": given} if given else {})


def name_of(engine: Engine) -> str:
    """How messages name the database."""
    return dialect_of(engine.url).identity(engine.url)


def folder_of(engine: Engine) -> Path:
    """The folder that the data folder of the database is recorded relative to."""
    return dialect_of(engine.url).folder(engine.url)
