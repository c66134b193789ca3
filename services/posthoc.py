"""From a finished run to a post-hoc step on it: its plan and submit key, the same for the pages and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from core.errors import EvenlyError
from core.experiment.baseline import no_network
from core.experiment.states import UNSUCCESSFUL
from core.methods import METHODS, POSTHOC
from reporting import text
from services.submission import Plan, plan, prepared_spec
from services.tpr_sources import RUN, TprSource
from storage.jobs.queue import NewRun
from storage.results.class_counts import validation_tprs
from storage.results.runs import RunRow, list_runs

COLUMNS = ("id", "status", "wanted", "created_at", "method", "seed", "group_sha")  # columns of the list of steps
KEYS = tuple(m.key for m in METHODS if m.stage == POSTHOC)


def plan_step(engine: Engine, before: RunRow, method: str, params: Mapping[str, Any]) -> Plan:
    """The plan of a post-hoc step on a finished run, its baseline: one row, with the checks and findings of `plan`.

    On images whose array file is missing only what is known without it is checked. EvenlyError where the step cannot be
    applied.
    """
    if METHODS[method].stage != POSTHOC:
        raise EvenlyError(f"{method} is not a post-hoc step; choose one of {', '.join(KEYS)}")
    if found := no_network(before, method):
        raise EvenlyError(text.of(found))
    tpr, support, _ = validation_tprs(engine, before.id)
    source = TprSource(RUN, before, tpr, support, f"run {before.id}", {before.seed: before.id})
    config = replace(before.config, method=method, params=params)
    return plan(engine, config, prepared_spec(before.dataset), [before.seed], source)


def any_applicable(frame: pd.DataFrame, model: str) -> bool:
    """Whether there is a run that a post-hoc step may be applied to: a finished one with this model, whatever its data and seed."""
    return bool(((frame["status"] == "succeeded") & (frame["model"] == model) & ~frame["archived"]).any())


def key_of(step: NewRun) -> str:
    """The submit key of a step: nothing in a step is random, so the same step on the same run gives the same result and is run once."""
    return f"posthoc-{step.baseline}-{step.config.sha()}"


def steps_of(engine: Engine, run_id: int) -> pd.DataFrame:
    """The post-hoc steps on a run, the oldest first, archived ones too: the columns COLUMNS."""
    frame = list_runs(engine, archived=None, baseline=run_id, columns=COLUMNS)
    return frame if frame.empty else frame[frame["method"].isin(KEYS)].iloc[::-1]


def existing_step(steps: pd.DataFrame, step: NewRun) -> tuple[int, str] | None:
    """(id, status) of the newest of these `steps` (see `steps_of`) that equals `step`; None where there is none.

    Steps that failed or were cancelled come last.
    """
    mine = steps[(steps["group_sha"] == step.group_sha) & (steps["seed"] == step.config.seed)]
    good = mine[~mine["status"].isin(UNSUCCESSFUL)]
    found = good if len(good) else mine
    return None if found.empty else (int(found["id"].iloc[-1]), str(found["status"].iloc[-1]))
