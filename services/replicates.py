"""The replicate of a recorded run with another seed, and the baseline that a run needs first, as rows of a submission."""

from __future__ import annotations

from dataclasses import replace

from core.errors import EvenlyError
from core.experiment.config import RunConfig
from services.baselines import unweighted
from services.queue_rows import Link, new_run
from services.tpr_sources import TRAIN_FIRST, OwnSources, TprSource
from storage.jobs.queue import NewRun
from storage.results.runs import RunRow


def replicate_with_seed(rows: list[NewRun], run: RunRow, seed: int, own: OwnSources) -> int:
    """Add the run's replicate with this seed to a submission, after its own baseline, unless it is there; returns its index.

    EvenlyError where it would not count as a replicate, since the run's baseline was deleted.
    """
    for index, new in enumerate(rows):
        if (new.group_sha, new.config.seed) == (run.group_sha, seed):
            return index
    config = replace(run.config, seed=seed)
    new = new_run(config, **baseline_first(rows, config, own.of(run), own))
    if new.group_sha != run.group_sha:
        raise EvenlyError(
            f"other seeds of run {run.id} would not count as its replicates: its baseline was deleted, or it was created by "
            "another version of Evenly; set it up again under New run"
        )
    rows.append(new)
    return len(rows) - 1


def baseline_first(rows: list[NewRun], config: RunConfig, source: TprSource, own: OwnSources, tags: str = "") -> Link:
    """How a run is tied to its baseline; one that has to be trained first is added to the rows."""
    if source.kind == TRAIN_FIRST:
        first = new_run(unweighted(config), tags=tags)
        rows.append(first)
        return {"baseline_index": len(rows) - 1, "baseline_group": first.group_sha}
    if source.run is None:
        return {}
    existing, group = source.takes.get(config.seed), source.run.group_sha
    if existing is not None:
        return {"baseline": existing, "baseline_group": group}
    index = replicate_with_seed(rows, source.run, config.seed, own)
    return {"baseline_index": index, "baseline_group": group}
