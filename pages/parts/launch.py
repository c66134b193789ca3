"""What the pages add to services.submission: replicates, the unweighted method, and the way into the queue."""

from __future__ import annotations

from services.submission import new_run, pair

__all__ = [
    "MOST_REPLICATES",
    "behind_baselines",
    "more_seeds",
    "new_run",
    "pair",
    "plainly",
    "recipe_epochs",
    "replicates",
    "send",
    "unweighted",
]
