"""From settings to rows of the queue, for pages and command line: names of runs, replicate groups, and which baseline a seed
takes its weights from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from core.datasets.spec import DataSpec, train_counts
from core.errors import EvenlyError
from core.experiment.config import UNSAMPLED, RunConfig, checked, usual_epochs
from core.findings import Finding
from core.methods import METHODS
from services.baselines import by_seed
from services.preflight import cautions, known_tprs, tried
from services.replicates import lacking
from services.run_names import data_words, method_words, unusual_words
from services.tpr_sources import RUN, TRAIN_FIRST, Source
from storage.jobs.queue import NewRun
from storage.results import get_run, list_runs
from storage.results.runs import RunRow

MOST_REPLICATES = 10  # that New run offers


def new_run(
    config: RunConfig,
    dataset_label: str,
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
        name=name
        or f"{data_words(config, dataset_label)}: "
        f"{', '.join(filter(None, [method_words(config), unusual_words(config)]))}, seed {config.seed}",
        group_sha=config.group_sha(baseline_group),
        baseline=baseline,
        baseline_index=baseline_index,
        tags=tags,
    )


@dataclass(frozen=True)
class Plan:
    """Rows for the queue in order: baselines that are trained first, then the runs asked for. `cautions`: what is questionable."""

    rows: tuple[NewRun, ...]
    cautions: tuple[Finding, ...] = ()


def plan(
    engine: Engine,
    config: RunConfig,
    spec: DataSpec | str,
    seeds: Sequence[int],
    source: Source,
    *,
    name: str = "",
    tags: str = "",
    ahead: Sequence[NewRun] = (),
    of: RunRow | None = None,
) -> Plan:
    """A config with each of the seeds, each with the baseline of its own seed, for one submission.

    spec    of the data; only its label where nothing is to be checked
    source  where TPRs come from; a baseline that it does not have is trained before the run
    ahead   earlier rows of the same submission; runs among them are not planned again
    of      the run to replicate: EvenlyError where these would not count as its replicates, since its baseline was deleted
    Every run is checked where `spec` is given: a method or sampler that rejects the evidence raises EvenlyError.
    """
    rows, label = list(ahead), spec if isinstance(spec, str) else spec.label
    links = {seed: _link(engine, rows, replace(config, seed=seed), label, source, tags) for seed in seeds}
    for seed, link in links.items():
        called = f"{name}, seed {seed}" if name and len(links) > 1 else name
        new = new_run(replace(config, seed=seed), label, name=called, tags=tags, **link)
        if of is not None and new.group_sha != of.group_sha:
            raise EvenlyError(
                f"other seeds of run {of.id} would not count as its replicates: its baseline was deleted, or it was created by "
                "another version of Evenly; set it up again under New run"
            )
        rows.append(new)
    return Plan(tuple(rows), () if isinstance(spec, str) else tuple(_cautions(engine, config, spec, links.values())))


def _cautions(engine: Engine, config: RunConfig, spec: DataSpec, links: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """What is questionable with each of the baselines, without duplicates."""
    baselines = dict.fromkeys(link.get("baseline") for link in links)
    known = [(None if b is None else get_run(engine, b), *known_tprs(engine, config, b)) for b in baselines]
    noted = [caution for _, tpr, support in known for caution in tried(config, spec, tpr, support)]
    counts = train_counts(spec, config.validation, config.imbalance, config.profile)
    return list(dict.fromkeys([*noted, *(c for row, *tprs in known for c in cautions(config, counts, row, *tprs))]))


def _link(
    engine: Engine, rows: list[NewRun], config: RunConfig, label: str, source: Source, tags: str
) -> dict[str, Any]:
    """How a run is linked to its baseline; a baseline to train first is appended to `rows`."""
    if source.kind == TRAIN_FIRST:
        rows.append(new_run(unweighted(config), label, tags=tags))
        return {"baseline_index": len(rows) - 1, "baseline_group": rows[-1].group_sha}
    if source.run is None:
        return {}
    existing, link = source.takes.get(config.seed), {"baseline_group": source.run.group_sha}
    if existing is not None:
        return {"baseline": existing, **link}
    rows[:] = again(engine, source.run, label, config.seed, rows)
    return {"baseline_index": _place(rows, source.run, config.seed), **link}


def again(engine: Engine, row: RunRow, label: str, seed: int, ahead: Sequence[NewRun] = ()) -> list[NewRun]:
    """`ahead` and, unless it is among them, the run with this seed after its own baseline of the seed. Errors as in `plan`."""
    if _place(ahead, row, seed) is not None:
        return list(ahead)
    source = Source()
    if row.baseline_id is not None:
        baseline = get_run(engine, row.baseline_id)
        source = Source(RUN, baseline, takes={seed: _trained(engine, baseline, seed)})
    return list(plan(engine, row.config, label, [seed], source, ahead=ahead, of=row).rows)


def more_seeds(
    engine: Engine, frame: pd.DataFrame, before: RunRow, after: RunRow, label: str, seeds: Sequence[int]
) -> list[NewRun]:
    """Both runs with each of these seeds that they lack in `frame`, seed by seed. Errors as in `plan`."""
    out: list[NewRun] = []
    for seed in seeds:
        for row in (before, after):
            if lacking(frame, row, [seed]):
                out = again(engine, row, label, seed, out)
    return out


def _place(rows: Sequence[NewRun], row: RunRow, seed: int) -> int | None:
    """Index of the row's replicate of this seed in this submission; None where it has none."""
    return next((i for i, new in enumerate(rows) if (new.group_sha, new.config.seed) == (row.group_sha, seed)), None)


def _trained(engine: Engine, row: RunRow, seed: int) -> int | None:
    """A replicate of this seed that has succeeded, else one that is running or queued; a paused one does not count."""
    return by_seed(list_runs(engine, archived=None), row.group_sha).get(seed)


def unweighted_method() -> str:
    """The baseline's method: it needs no evidence and has no parameters."""
    return next(m.key for m in METHODS if not m.needs and not m.params)


def unweighted(config: RunConfig) -> RunConfig:
    """The same run without a method, a sampler or a late start: its baseline."""
    method, own = unweighted_method(), METHODS[config.method].epochs
    epochs = (
        config.epochs if own is None else usual_epochs(method, config.recipe)
    )  # a short second stage continues from a full-length run
    return replace(
        config,
        method=method,
        params={},
        epochs=epochs,
        tpr=None,
        tpr_support=None,
        tpr_source="",
        **UNSAMPLED,
    )
