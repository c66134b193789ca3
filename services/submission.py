"""From settings to the rows of a submission and what is questionable about them, for pages and command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from sqlalchemy import Engine

from core.datasets import describe, find_dataset
from core.datasets.spec import Counts, DataSpec, train_counts
from core.errors import EvenlyError
from core.experiment.config import RunConfig
from core.findings import Finding
from core.methods import METHODS, trains
from services.baselines import NO_WEIGHTING
from services.preflight import cautions, check_samples, notes_before_start
from services.queue_rows import new_run
from services.replicates import baseline_first, replicate_with_seed
from services.seeds import lacking
from services.tpr_sources import OwnSources, TprSource, check_baseline, known_tprs
from storage.db.paths import data_root
from storage.jobs.queue import NewRun
from storage.results import get_run
from storage.results.runs import RunRow


@dataclass(frozen=True)
class Plan:
    """Rows for the queue in order: baselines that are trained first, then the runs asked for. `findings`: the cautions
    and notes to read before they start."""

    rows: tuple[NewRun, ...] = ()
    findings: tuple[Finding, ...] = ()


def plan(
    engine: Engine,
    config: RunConfig,
    spec: DataSpec | None,
    seeds: Sequence[int],
    source: TprSource,
    *,
    name: str = "",
    tags: str = "",
) -> Plan:
    """A config with each of the seeds, each with the baseline of its own seed, for one submission.

    spec    of the config's dataset; None for images whose array file is missing: only what is known without it is
            checked, and the file is made when the run starts
    source  where TPRs come from; a baseline that it does not have is trained before the run
    EvenlyError where a run cannot start: too few samples, a run that cannot be its baseline, evidence that its method or
    sampler rejects, or a baseline whose own baseline was deleted, so that it gets no replicate.
    """
    if not trains(config.method):
        config = _as_step(config, source)
    rows: list[NewRun] = []
    own, each = OwnSources(engine), [replace(config, seed=seed) for seed in seeds]
    links = [baseline_first(rows, one, source, own, tags) for one in each]
    for one, link in zip(each, links, strict=True):
        called = f"{name}, seed {one.seed}" if name and len(each) > 1 else name
        rows.append(new_run(one, name=called, tags=tags, **link))
    return Plan(tuple(rows), _questionable(engine, rows, {config.dataset: spec}, [(config, source)]))


def more_seeds(engine: Engine, frame: pd.DataFrame, before: RunRow, after: RunRow, seeds: Sequence[int]) -> Plan:
    """Both runs with each of these seeds that they lack in `frame`, seed by seed.

    Every run is checked, and reported where it is questionable, as in `plan`; on images whose array file is missing, only
    what is known without it: it is made when the run starts.
    """
    specs = {name: prepared_spec(name) for name in dict.fromkeys((before.dataset, after.dataset))}
    grown = {run.id: run for run in (before, after) if lacking(frame, run, seeds)}.values()
    rows, own = list[NewRun](), OwnSources(engine)
    for seed in seeds:
        for run in grown:
            if lacking(frame, run, [seed]):
                replicate_with_seed(rows, run, seed, own)
    asked = [(run.config, own.of(run)) for run in grown]
    return Plan(tuple(rows), _questionable(engine, rows, specs, asked))


def prepared_spec(name: str) -> DataSpec | None:
    """A dataset's description; None for images that are not prepared. EvenlyError where there is no such dataset."""
    row = find_dataset(name, data_root())
    return None if row.own and not row.is_ready(data_root()) else describe(name, data_root())


def _questionable(
    engine: Engine,
    rows: Sequence[NewRun],
    specs: Mapping[str, DataSpec | None],
    asked: Sequence[tuple[RunConfig, TprSource]],
) -> tuple[Finding, ...]:
    """What is questionable about the rows of a submission, each finding once. EvenlyError where one of them cannot start.

    specs  dataset -> its description; rows on one that is None are not checked
    asked  the runs asked for, each with any one of its seeds, and their evidence
    """
    found: list[Finding] = []
    for name, spec in specs.items():
        if spec is not None:
            found += _checked(engine, [new for new in rows if new.config.dataset == name], spec)
    for config, source in asked:
        counts = _training_counts(config, specs[config.dataset], source)
        found += cautions(config, counts, source.run, source.tpr, source.support)
    return tuple(dict.fromkeys(found))


def _training_counts(config: RunConfig, spec: DataSpec | None, source: TprSource) -> Counts | None:
    """[C] training samples of a run; None where unknown. Without `spec`, a step has those recorded by its run."""
    if spec is not None:
        return train_counts(spec, config.validation, config.imbalance, config.profile)
    return None if trains(config.method) or source.run is None else source.run.facts.training_counts


def _checked(engine: Engine, rows: Sequence[NewRun], spec: DataSpec) -> list[Finding]:
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


def _as_step(config: RunConfig, source: TprSource) -> RunConfig:
    """A post-hoc step with the settings of the run it is applied to, so that it is a replicate of the same step from
    anywhere else. `config` gives the step, its parameters and its device; nothing is trained or sampled.

    EvenlyError without such a run.
    """
    if source.run is None:
        raise EvenlyError(f"{config.method} continues from a finished run; choose one")
    step = {"method": config.method, "params": config.params, "device": config.device}
    return replace(source.run.config, **step, epochs=1, **NO_WEIGHTING)
