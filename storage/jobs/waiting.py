"""What queued runs wait for: a baseline that has not succeeded, and a paused run further up its chain of baselines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, literal, select

from storage.db.connection import reading
from storage.db.schema import run


@dataclass(frozen=True)
class Waiting:
    """What a queued run waits for.

    baseline  its baseline, which has not succeeded
    paused    the paused run that has to be resumed first: the baseline, or one that this waits for; None if there is none
    """

    baseline: int
    paused: int | None


class Requested(NamedTuple):
    """A run's status and the request for it."""

    id: int
    status: str
    wanted: str


def waiting_runs(engine: Engine, ids: Iterable[int]) -> dict[int, Waiting]:
    """The queued runs among `ids` whose baseline has not succeeded -> what they wait for. One query."""
    with reading(engine) as connection:
        chains = unfinished_baselines(connection, run.c.id.in_([int(i) for i in ids]), run.c.status == "queued")
    return {run_id: Waiting(chain[0].id, _paused(chain)) for run_id, chain in chains.items()}


def _paused(chain: list[Requested]) -> int | None:
    first = next((row for row in chain if row.status != "queued"), None)
    return first.id if first is not None and first.status == "paused" else None


def unfinished_baselines(connection: Connection, *which: ColumnElement[bool]) -> dict[int, list[Requested]]:
    """Run -> its baseline, the baseline of this, and so on up to one that has succeeded.

    For the runs that `which` selects and whose baseline has not succeeded.
    """
    link = (
        select(run.c.id.label("follower"), run.c.baseline_id, literal(1).label("step"))
        .where(*which)
        .cte("link", recursive=True)
    )
    further = (
        select(link.c.follower, run.c.baseline_id, link.c.step + 1)
        .join(run, run.c.id == link.c.baseline_id)
        .where(run.c.status != "succeeded")
    )
    link = link.union_all(further)
    rows = (
        select(link.c.follower, run.c.id, run.c.status, run.c.wanted)
        .join(run, run.c.id == link.c.baseline_id)
        .where(run.c.status != "succeeded")
        .order_by(link.c.step)
    )
    chains: dict[int, list[Requested]] = {}
    for follower, *row in connection.execute(rows):
        chains.setdefault(follower, []).append(Requested(*row))
    return chains
