"""What the pages add to storage.launch: replicates, the unweighted method, and the way into the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.config import RunConfig
from core.methods import METHODS
from core.recipes import RECIPES
from pages.parts import reads
from storage.launch import new_run, pair
from storage.queue import NewRun, submit

MOST_REPLICATES = 10

__all__ = ["MOST_REPLICATES", "new_run", "pair", "recipe_epochs", "replicates", "send", "unweighted"]


def replicates(config: RunConfig, count: int) -> list[RunConfig]:
    """The same settings with seeds s .. s+count-1."""
    return [replace(config, seed=config.seed + i) for i in range(count)]


def send(runs: Sequence[NewRun], submit_key: str) -> list[int]:
    """Queue the runs in one transaction; the same key again returns the same ids."""
    return submit(reads.database(), list(runs), submit_key)


def unweighted() -> str:
    """The method that needs nothing and has nothing to set: the baseline's."""
    return next(m.key for m in METHODS if not m.needs and not m.params)


def recipe_epochs(recipe: str) -> int:
    """The number of epochs a recipe was made for."""
    return RECIPES[recipe].epochs
