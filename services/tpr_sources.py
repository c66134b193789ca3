"""Source of the TPRs, or the network, of runs to be queued."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd
from sqlalchemy import Engine

from core.datasets.spec import DataSpec
from core.errors import EvenlyError
from core.experiment.baseline import DONE, refusal
from core.experiment.config import RunConfig, given_tprs
from core.methods.types import Vector
from reporting import text
from services.baselines import GROUPED, READY, DatasetRuns, by_seed, per_seed
from storage.results import get_run
from storage.results.class_counts import validation_tprs
from storage.results.runs import RunRow, list_runs

RUN, TRAIN_FIRST, GIVEN, NOTHING = "run", "first", "given", "nothing"
STARTABLE = (*READY, "paused")  # a run may be queued after a baseline in one of these states


@dataclass(frozen=True)
class TprSource:
    """The evidence of one submission. `tpr` [C] is None until a baseline has finished or numbers were given.

    kind    RUN, TRAIN_FIRST, GIVEN (the config holds the TPRs) or NOTHING
    run     of kind RUN: the baseline
    name    what the TPRs are called, as in "run 3"
    takes   of kind RUN: seed -> the baseline it takes, a replicate of `run` with that seed; None: it is trained first
    absent  why no run is suitable for a method that needs one; "" where one is
    """

    kind: str = NOTHING
    run: RunRow | None = None
    tpr: Vector | None = None
    support: Vector | None = None
    name: str = ""
    takes: Mapping[int, int | None] = field(default_factory=dict)
    absent: str = ""

    def trained_first(self, seeds: list[int]) -> list[int]:
        """The seeds whose baseline is trained first."""
        if self.kind == TRAIN_FIRST:
            return seeds
        return [seed for seed in seeds if self.kind == RUN and self.takes.get(seed) is None]


def check_baseline(
    run: RunRow, config: RunConfig, spec: DataSpec, needs: Collection[str], statuses: Collection[str] = STARTABLE
) -> None:
    """Raise EvenlyError where a run cannot be the baseline of `config`; arguments as in `core.experiment.baseline.refusal`."""
    if found := refusal(run, config, spec, needs, statuses):
        raise EvenlyError(text.of(found))


def from_run(
    engine: Engine,
    runs: DatasetRuns,
    row: RunRow,
    config: RunConfig,
    needs: Collection[str],
    seeds: list[int],
    *,
    same: bool = False,
    statuses: Collection[str] = DONE,
) -> TprSource:
    """Run `row` as the baseline of the first seed's `config`, and its replicates as those of the other seeds.

    The TPRs are those of the first seed's own baseline if it has succeeded on the same classes, else those of `row`.

    needs     what the config's method uses, see `Method.needs_with`
    same      every seed takes `row`
    statuses  those that `row` may have; EvenlyError for others, and for a run that cannot be the baseline
    """
    check_baseline(row, config, runs.spec, needs, statuses)
    takes = dict.fromkeys(seeds, row.id) if same else per_seed(runs, row, seeds)
    first = get_run(engine, takes[seeds[0]] or row.id)
    if first.status not in DONE or first.facts.classes != row.facts.classes:
        first = row
    return TprSource(RUN, row, *known_tprs(engine, config, first.id), f"run {first.id}", takes)


def known_tprs(engine: Engine, config: RunConfig, baseline: int | None) -> tuple[Vector | None, Vector | None]:
    """The TPRs [C] that a run will use and their supports; None where its baseline has none yet, or there is no baseline."""
    if config.tpr is not None:
        return given_tprs(config)
    if baseline is None or not len(list_runs(engine, ids=[baseline], status="succeeded", columns=("id",))):
        return None, None
    tpr, support, _ = validation_tprs(engine, baseline)
    return tpr, support


class OwnSources:
    """The evidence of recorded runs, from their own baselines. Every run, and the list of runs, is read once."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._known: dict[int, TprSource] = {}

    def of(self, run: RunRow) -> TprSource:
        """The run's own baseline and its replicates: succeeded ones, else running or queued ones; a paused one does not count."""
        if run.id not in self._known:
            self._known[run.id] = self._read(run)
        return self._known[run.id]

    def _read(self, run: RunRow) -> TprSource:
        evidence = known_tprs(self.engine, run.config, run.baseline_id)
        if run.baseline_id is None:
            return TprSource(NOTHING, None, *evidence)
        baseline = get_run(self.engine, run.baseline_id)
        return TprSource(RUN, baseline, *evidence, takes=by_seed(self._listed, baseline.group_sha))

    @cached_property
    def _listed(self) -> pd.DataFrame:
        return list_runs(self.engine, archived=None, columns=GROUPED)
