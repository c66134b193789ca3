"""The log of a run: every change of its status, and messages of its worker."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, insert, select

from storage.db.connection import reading
from storage.db.schema import event

MOST_CHARACTERS = 20_000  # of one text; a longer one keeps its end, where a traceback says what happened


@dataclass(frozen=True)
class Event:
    """One line of a run's log."""

    at: datetime
    kind: str
    text: str


def moment(seconds: float | None) -> datetime | None:
    """Stored Unix seconds as an aware datetime in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def log_event(connection: Connection, run_id: int, kind: str, text: str) -> None:
    """Add a line within the caller's transaction."""
    connection.execute(insert(event).values(run_id=run_id, at=time.time(), kind=kind, text=text[-MOST_CHARACTERS:]))


def log_of(engine: Engine, run_id: int, limit: int = 200) -> list[Event]:
    """The last `limit` lines of a run's log, oldest first."""
    newest = (
        select(event.c.at, event.c.kind, event.c.text)
        .where(event.c.run_id == run_id)
        .order_by(event.c.id.desc())
        .limit(limit)
    )
    with reading(engine) as connection:
        rows = connection.execute(newest).all()
    return [Event(moment(r.at), r.kind, r.text) for r in reversed(rows)]
