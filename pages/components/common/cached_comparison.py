"""The comparison of two stored runs, cached by their recorded epochs."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from core.comparison.compare import Comparison, compare
from pages.components.common import cached_reads
from services.comparison import side
from storage.db.paths import database_url
from storage.results.runs import RunRow, origins


@st.cache_data(max_entries=256, show_spinner=False)
def _compared(url: str, key: tuple[tuple[object, ...], ...], _before: RunRow, _after: RunRow) -> Comparison:
    engine = cached_reads.database()
    return compare(side(engine, _before), side(engine, _after))


def comparison(before: RunRow, after: RunRow) -> Comparison:
    """Cached: the comparison of two stored runs; raises EvenlyError when they cannot be compared."""
    stamps = [
        (
            r.id,
            r.attempt,
            r.last_epoch,
            r.seconds,
            r.status,
            *((number, origin.baseline) for number, origin in origins(cached_reads.database(), r).items()),
        )
        for r in (before, after)
    ]
    return _compared(database_url(), tuple(stamps), before, after)


def runs_of_side(row: RunRow, ids: Iterable[int]) -> list[RunRow]:
    """Reads the runs behind the means over seeds of one side of a stored comparison; `row` is reused."""
    return [row if number == row.id else cached_reads.run(number) for number in ids]


def runs_of_both_sides(
    c: Comparison, before: RunRow, after: RunRow, averaged: bool
) -> tuple[list[RunRow], list[RunRow]]:
    """Reads the runs behind both sides of a stored comparison: all seeds of each, or the two runs."""
    if not averaged or c.over_seeds is None:
        return [before], [after]
    return runs_of_side(before, c.over_seeds.runs_before), runs_of_side(after, c.over_seeds.runs_after)
