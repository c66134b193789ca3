"""From settings to rows of the queue, for pages and command line: names of runs, replicate groups, and which baseline a seed
takes its weights from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from core.datasets import describe, find_dataset
from core.datasets.spec import DataSpec, train_counts
from core.errors import EvenlyError
from core.experiment.config import RunConfig, checked
from core.findings import Finding
from core.methods import METHODS, POSTHOC
from services.baselines import GROUPED, NO_WEIGHTING, by_seed, unweighted
from services.preflight import cautions, check_samples, notes_before_start
from services.replicates import lacking
from services.run_names import default_name
from services.tpr_sources import NOTHING, RUN, TRAIN_FIRST, TprSource, check_baseline, known_tprs
from storage.db.paths import data_root
from storage.jobs.queue import NewRun
from storage.results import get_run, list_runs
from storage.results.runs import RunRow

# Replicates that New run offers. The command line takes more (commands.submit.SEEDS): it plans once, a form at every change
MOST_REPLICATES = 10
Rows = tuple[NewRun, ...]


@dataclass(frozen=True)
class Link:
    """How a run of a submission is tied to its baseline, if it has one: as in `new_run`."""

    baseline: int | None = None
    baseline_index: int | None = None
    baseline_group: str = ""


def new_run(
    config: RunConfig,
    *,
    baseline: int | None = None,
    baseline_index: int | None = None,
    baseline_group: str = "",
    name: str = "",
    tags: str = "",
) -> NewRun:
    """A checked config as a row for `storage.jobs.queue.submit`.

    `baseline` is an earlier run, `baseline_index` the index of one in the same submission; `baseline_group` its group_sha,
    so that runs with baselines of different settings are not counted as replicates. Raises EvenlyError for bad settings.
    """
    config = checked(config)
    return NewRun(
        config=config,
        name=name or default_name(config),
        group_sha=config.group_sha(baseline_group),
        baseline=baseline,
        baseline_index=baseline_index,
        tags=tags,
    )


@dataclass(frozen=True)
class Plan:
    """Rows for the queue in order: baselines that are trained first, then the runs asked for. `cautions`: what is questionable."""

    rows: Rows = ()
    cautions: tuple[Finding, ...] = ()


def plan(
    engine: Engine,
    config: RunConfig,
    spec: DataSpec,
    seeds: Sequence[int],
    source: TprSource,
    *,
    name: str = "",
    tags: str = "",
) -> Plan:
    """A config with each of the seeds, each with the baseline of its own seed, for one submission.

    spec    of the config's dataset
    source  where TPRs come from; a baseline that it does not have is trained before the run
    EvenlyError where a run cannot start: too few samples, a run that cannot be its baseline, evidence that its method or
    sampler rejects, or a baseline whose own baseline was deleted, so that it gets no replicate.
    """
    if METHODS[config.method].stage == POSTHOC:
        config = _as_step(config, source)
    rows: Rows = ()
    links: dict[int, Link] = {}
    for seed in seeds:
        rows, links[seed] = _linked(engine, rows, replace(config, seed=seed), source, tags)
    for seed, link in links.items():
        called = f"{name}, seed {seed}" if name and len(links) > 1 else name
        rows = (*rows, _tied(replace(config, seed=seed), link, name=called, tags=tags))
    return Plan(rows, _questionable(engine, rows, {config.dataset: spec}, [(config, source)]))


def more_seeds(engine: Engine, frame: pd.DataFrame, before: RunRow, after: RunRow, seeds: Sequence[int]) -> Plan:
    """Both runs with each of these seeds that they lack in `frame`, seed by seed.

    Every run is checked, and reported where it is questionable, as in `plan`; on images whose array file is missing, only
    what is known without it: it is made when the run starts.
    """
    known = {name: _prepared(name) for name in dict.fromkeys((before.dataset, after.dataset))}
    grown = {run.id: run for run in (before, after) if lacking(frame, run, seeds)}.values()
    rows: Rows = ()
    for seed in seeds:
        for run in grown:
            if lacking(frame, run, [seed]):
                rows = replicate_with_seed(engine, rows, run, seed)
    asked = [(run.config, _own_source(engine, run, run.seed)) for run in grown]
    return Plan(rows, _questionable(engine, rows, {name: spec for name, spec in known.items() if spec}, asked))


def _prepared(name: str) -> DataSpec | None:
    """A dataset's description; None for images that are not prepared. EvenlyError where there is no such dataset."""
    row = find_dataset(name, data_root())
    return None if row.own and not row.is_ready(data_root()) else describe(name, data_root())


def replicate_with_seed(engine: Engine, rows: Rows, run: RunRow, seed: int) -> Rows:
    """`rows` of a submission and, unless it is among them, the run's replicate with this seed, after its own baseline.

    EvenlyError where it would not count as a replicate, since the run's baseline was deleted.
    """
    if _place(rows, run, seed) is not None:
        return rows
    config = replace(run.config, seed=seed)
    rows, link = _linked(engine, rows, config, _own_source(engine, run, seed), "")
    new = _tied(config, link)
    if new.group_sha != run.group_sha:
        raise EvenlyError(
            f"other seeds of run {run.id} would not count as its replicates: its baseline was deleted, or it was created by "
            "another version of Evenly; set it up again under New run"
        )
    return (*rows, new)


def _tied(config: RunConfig, link: Link, *, name: str = "", tags: str = "") -> NewRun:
    """The run of a submission with its link."""
    return new_run(
        config,
        baseline=link.baseline,
        baseline_index=link.baseline_index,
        baseline_group=link.baseline_group,
        name=name,
        tags=tags,
    )


def _linked(engine: Engine, rows: Rows, config: RunConfig, source: TprSource, tags: str) -> tuple[Rows, Link]:
    """`rows` with the baseline that a run needs first, and how the run is tied to its baseline."""
    if source.kind == TRAIN_FIRST:
        first = new_run(unweighted(config), tags=tags)
        return (*rows, first), Link(baseline_index=len(rows), baseline_group=first.group_sha)
    if source.run is None:
        return rows, Link()
    existing, group = source.takes.get(config.seed), source.run.group_sha
    if existing is not None:
        return rows, Link(baseline=existing, baseline_group=group)
    rows = replicate_with_seed(engine, rows, source.run, config.seed)
    return rows, Link(baseline_index=_place(rows, source.run, config.seed), baseline_group=group)


def _own_source(engine: Engine, run: RunRow, seed: int) -> TprSource:
    """The run's own baseline with this seed: one that has succeeded, else is running or queued; a paused one does not count."""
    if run.baseline_id is None:
        return TprSource(NOTHING, None, *known_tprs(engine, run.config, None))
    baseline = get_run(engine, run.baseline_id)
    members = by_seed(list_runs(engine, archived=None, columns=GROUPED), baseline.group_sha)
    evidence = known_tprs(engine, run.config, baseline.id)
    return TprSource(RUN, baseline, *evidence, takes={seed: members.get(seed)})


def _place(rows: Rows, run: RunRow, seed: int) -> int | None:
    """Index of the run's replicate of this seed in a submission; None where it has none."""
    return next((i for i, new in enumerate(rows) if (new.group_sha, new.config.seed) == (run.group_sha, seed)), None)


def _questionable(
    engine: Engine,
    rows: Rows,
    specs: Mapping[str, DataSpec],
    asked: Sequence[tuple[RunConfig, TprSource]],
) -> tuple[Finding, ...]:
    """What is questionable about the rows of a submission, each finding once. EvenlyError where one of them cannot start.

    specs  dataset -> its description; rows of others are not checked
    asked  the runs asked for, each with any one of its seeds, and their evidence
    """
    found: list[Finding] = []
    for name, known in specs.items():
        found += _checked(engine, tuple(new for new in rows if new.config.dataset == name), known)
    for config, source in asked:
        spec = specs.get(config.dataset)
        counts = None if spec is None else train_counts(spec, config.validation, config.imbalance, config.profile)
        found += cautions(config, counts, source.run, source.tpr, source.support)
    return tuple(dict.fromkeys(found))


def _checked(engine: Engine, rows: Rows, spec: DataSpec) -> list[Finding]:
    """The notes on the terms of these runs, as far as their TPRs are known.

    EvenlyError where one cannot start: too few samples, an existing baseline that cannot be its baseline, or evidence that
    its method or sampler rejects.
    """
    distinct = {(new.group_sha, new.baseline): new for new in rows}.values()  # seeds change neither samples nor terms
    for config, baseline in ((new.config, new.baseline) for new in distinct):
        check_samples(config, spec)
        if baseline is not None:
            needs = METHODS[config.method].needs_with(config.params)
            check_baseline(get_run(engine, baseline), config, spec, needs)
    return [
        n
        for new in distinct
        for n in notes_before_start(new.config, spec, *known_tprs(engine, new.config, new.baseline))
    ]


def posthoc_config(trained: RunConfig, method: str, params: Mapping[str, Any]) -> RunConfig:
    """The settings of a post-hoc step on a run with the settings `trained`: the same but for the method; nothing is trained or sampled."""
    return replace(trained, method=method, params=params, epochs=1, **NO_WEIGHTING)


def _as_step(config: RunConfig, source: TprSource) -> RunConfig:
    """A planned post-hoc step with the settings of the run it is applied to, so that it is a replicate of the same step from
    anywhere else; of `config` only the step and the device count. EvenlyError without such a run."""
    if source.run is None:
        raise EvenlyError(f"{config.method} continues from a finished run; choose one")
    return replace(posthoc_config(source.run.config, config.method, config.params), device=config.device)
