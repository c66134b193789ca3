"""The comparison of two stored runs, cached by their recorded epochs."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
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
    """The comparison of two runs; raises EvenlyError when they cannot be compared."""
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


def members(row: RunRow, ids: Iterable[int]) -> list[RunRow]:
    """The runs behind a side's means; `row` is reused, the others are read."""
    return [row if number == row.id else cached_reads.run(number) for number in ids]


def both_members(c: Comparison, before: RunRow, after: RunRow, averaged: bool) -> tuple[list[RunRow], list[RunRow]]:
    """The runs behind the curves and the confusion matrices of Compare: all seeds of each side, or the two runs."""
    if not averaged or c.over_seeds is None:
        return [before], [after]
    return members(before, c.over_seeds.runs_before), members(after, c.over_seeds.runs_after)


def same_seed(every: pd.DataFrame, before: RunRow, after: RunRow) -> tuple[int, int, int] | None:
    """(before, after, seed) of the newest succeeded runs with the settings of these two and a common seed.

    None if these two have the same seed or the same settings, or if there is no such pair.
    """
    if before.seed == after.seed or before.group_sha == after.group_sha:
        return None
    done = every[every["status"] == "succeeded"]
    for seed in (after.seed, before.seed):
        found = [done[(done["group_sha"] == row.group_sha) & (done["seed"] == seed)]["id"] for row in (before, after)]
        if all(len(ids) for ids in found):
            return int(found[0].max()), int(found[1].max()), int(seed)
    return None
