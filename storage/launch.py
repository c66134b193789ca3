"""From settings to a row of the queue: the one place where pages and command line name a run and mark its replicates."""

from __future__ import annotations

import json

from core.config import RunConfig, checked
from core.methods import METHODS
from storage.queue import NewRun


def method_words(config: RunConfig) -> str:
    """The method and its parameters, short: "TPR ratio, exponent 2"."""
    row = METHODS[config.method]
    values = {p.key: config.params.get(p.key, p.default) for p in row.params if not p.choices}
    shown = [f"{p.label.lower()} {values[p.key] if isinstance(values[p.key], str) else format(float(values[p.key]), 'g')}"
             for p in row.params if p.key in values and (p.key == row.slider or values[p.key] != p.default)]
    return ", ".join([row.label, *shown])


def new_run(
    config: RunConfig, dataset_label: str, *, baseline: int | None = None, baseline_index: int | None = None,
    baseline_group: str = "", name: str = "", tags: str = "",
) -> NewRun:
    """A checked config as a row for `storage.queue.submit`.

    `baseline` is an earlier run, `baseline_index` the place of one in the same submission; `baseline_group` its group_sha,
    so that runs weighted from different baselines' settings are not taken for replicates. Raises EvenlyError for bad settings.
    """
    config = checked(config)
    return NewRun(
        config=json.loads(config.to_json()), name=name or f"{dataset_label}: {method_words(config)}, seed {config.seed}",
        dataset=config.dataset, model=config.model, method=config.method, seed=config.seed, epochs=config.epochs,
        config_sha=config.sha(), group_sha=config.group_sha(baseline_group), baseline=baseline, baseline_index=baseline_index, tags=tags,
    )


def pair(baseline: RunConfig, weighted: RunConfig, dataset_label: str, tags: str = "") -> list[NewRun]:
    """A baseline and the run that takes its TPRs from it, for one submission."""
    first = new_run(baseline, dataset_label, tags=tags)
    return [first, new_run(weighted, dataset_label, baseline_index=0, baseline_group=first.group_sha, tags=tags)]
