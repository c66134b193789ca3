"""What the pages add to storage.launch: replicates, the unweighted method, and the way into the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.config import RunConfig, from_dict
from core.methods import METHODS
from core.recipes import RECIPES
from pages.parts import reads
from storage.launch import new_run, pair
from storage.queue import NewRun, submit

MOST_REPLICATES = 10

__all__ = ["MOST_REPLICATES", "more_seeds", "new_run", "pair", "recipe_epochs", "replicates", "send", "unweighted"]


def replicates(config: RunConfig, count: int) -> list[RunConfig]:
    """The same settings with seeds s .. s+count-1."""
    return [replace(config, seed=config.seed + i) for i in range(count)]


def more_seeds(before: Any, after: Any, label: str, count: int) -> list[NewRun]:
    """`count` further seeds of two finished runs, paired; a weighted run follows the new baseline of its own seed."""
    follows = after.baseline_id == before.id
    group, other = before_group(before), before_group(after)
    out: list[NewRun] = []
    for i in range(1, count + 1):
        a, b = (replace(from_dict(r.config), seed=max(before.seed, after.seed) + i) for r in (before, after))
        out.append(new_run(a, label, baseline=before.baseline_id, baseline_group=group))
        link = {"baseline_index": len(out) - 1, "baseline_group": before.group_sha} if follows else {"baseline": after.baseline_id, "baseline_group": other}
        out.append(new_run(b, label, **link))
    return out


def before_group(row: Any) -> str:
    """The group of a run's own baseline, by which its replicates are known; empty without one."""
    return "" if row.baseline_id is None else reads.run(row.baseline_id).group_sha


def send(runs: Sequence[NewRun], submit_key: str) -> list[int]:
    """Queue the runs in one transaction; the same key again returns the same ids."""
    return submit(reads.database(), list(runs), submit_key)


def unweighted() -> str:
    """The method that needs nothing and has nothing to set: the baseline's."""
    return next(m.key for m in METHODS if not m.needs and not m.params)


def recipe_epochs(recipe: str) -> int:
    """The number of epochs a recipe was made for."""
    return RECIPES[recipe].epochs
