"""Whether runs have changed since a page was drawn, in one short query, and the status of given runs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import CompoundSelect, Engine, func, literal, or_, select, union_all

from storage.db.connection import reading
from storage.db.schema import run

Stamp = tuple[tuple[str | int, ...], ...]


def stamp(engine: Engine, run_id: int | None = None) -> Stamp:
    """Equal as long as no run was added, deleted or requested to change, and no status changed.

    With `run_id`: of that run, its baseline and the runs that use it as theirs.
    """
    with reading(engine) as connection:
        if run_id is None:
            return tuple(map(tuple, connection.execute(stamp_query())))
        near = or_(
            run.c.id == run_id,
            run.c.baseline_id == run_id,
            run.c.id == select(run.c.baseline_id).where(run.c.id == run_id).scalar_subquery(),
        )
        return tuple(
            map(tuple, connection.execute(select(run.c.id, run.c.status, run.c.wanted).where(near).order_by(run.c.id)))
        )


def stamp_query() -> CompoundSelect:
    """The number of runs with each status, and the sum of their ids, which changes when two runs swap statuses.

    Then the requests for running runs.
    """
    each = select(run.c.status, func.count(), func.sum(run.c.id)).group_by(run.c.status)
    return union_all(each, select(run.c.wanted, literal(1), run.c.id).where(run.c.status == "running"))


def statuses(engine: Engine, ids: Sequence[int]) -> dict[int, str]:
    """Run -> status, for those of `ids` that exist."""
    with reading(engine) as connection:
        return {
            row.id: row.status
            for row in connection.execute(select(run.c.id, run.c.status).where(run.c.id.in_([int(i) for i in ids])))
        }
