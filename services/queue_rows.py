"""A run as a row for the queue, and how it is tied to its baseline."""

from __future__ import annotations

from typing import TypedDict, Unpack

from core.experiment.config import RunConfig, checked
from services.run_names import default_name
from storage.jobs.queue import NewRun


class Link(TypedDict, total=False):
    """A run's baseline, if it has one.

    baseline        an earlier run
    baseline_index  the index of a run in the same submission
    baseline_group  its group_sha, so that runs with baselines of different settings are not counted as replicates
    """

    baseline: int
    baseline_index: int
    baseline_group: str


def new_run(config: RunConfig, *, name: str = "", tags: str = "", **link: Unpack[Link]) -> NewRun:
    """A checked config as a row for `storage.jobs.queue.submit`. Raises EvenlyError for bad settings."""
    config = checked(config)
    return NewRun(
        config=config,
        name=name or default_name(config),
        group_sha=config.group_sha(link.get("baseline_group", "")),
        baseline=link.get("baseline"),
        baseline_index=link.get("baseline_index"),
        tags=tags,
    )
