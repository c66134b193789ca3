"""Post-hoc steps from the command line: applied at once, beside whatever the workers are doing, as runs of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

import cli_submit
from cli_runs import RunId, database, run_dict, run_list
from cli_tables import Json, Params
from core.config import RunConfig, from_dict
from core.errors import EvenlyError
from core.methods import METHODS, POSTHOC
from terminal import emit

if TYPE_CHECKING:
    from storage.runs import RunRow

SLOTS = range(255, 199, -1)  # lock files of helpers that stand beside the workers


def posthoc(
    run_id: RunId,
    method: Annotated[str, typer.Option(metavar="K", help="A post-hoc method: see `methods`")] = "equal_tpr_bias",
    strength: Annotated[str | None, typer.Option(metavar="S", help="Short for --param strength=S")] = None,
    param: Params = None,
    as_json: Json = False,
) -> None:
    """Apply a post-hoc step to a finished run: seconds, no queue.

    The result is a run of its own whose baseline is RUN. What is fitted is fitted on the validation split.
    """
    from storage.launch import new_run
    from storage.queue import submit
    from storage.results import get_run

    params: dict[str, Any] = dict(cli_submit.pairs(param, "--param"))
    if strength is not None:
        params["strength"] = strength
    engine = database()
    before = get_run(engine, run_id)
    (made,) = submit(engine, [new_run(config_for(before, method, params), _label(before), baseline=run_id, baseline_group=before.group_sha)])
    row = at_once(engine, made)
    emit(run_dict(engine, row)) if as_json else run_list([before, row])


def config_for(before: RunRow, method: str, params: dict[str, Any]) -> RunConfig:
    """The settings of a post-hoc step on a finished run: its data and model, another method. Refused where it cannot apply."""
    if METHODS[method].stage != POSTHOC:
        able = ", ".join(m.key for m in METHODS if m.stage == POSTHOC)
        raise EvenlyError(f"{method} is no post-hoc step; choose one of {able}")
    theirs = from_dict(before.config)
    if METHODS[theirs.method].stage == POSTHOC:
        raise EvenlyError(f"run {before.id} is itself a post-hoc step; apply {method} to the run it came from, run {before.baseline_id}")
    if before.status != "succeeded":
        raise EvenlyError(f"run {before.id} is {before.status}; a post-hoc step needs a run that has succeeded")
    return replace(theirs, method=method, params=params, tpr=None, tpr_support=None, tpr_source="", start=0.0)


def _label(before: RunRow) -> str:
    """The dataset as the run's own name has it."""
    return before.name.partition(":")[0] or before.dataset


def at_once(engine: Any, run_id: int) -> RunRow:
    """The run, when it is over. It is worked on here, beside the workers; one of them may also have been faster."""
    from storage.results import get_run
    from worker import Timeout, Worker

    def over() -> bool:
        return get_run(engine, run_id).status not in ("queued", "running")

    for slot in _slots():
        try:
            with Worker(slot, only=(run_id,)) as worker:
                worker.loop(until=over)
            break
        except Timeout:  # another helper has this place
            continue
    row = get_run(engine, run_id)
    if row.status != "succeeded":
        raise EvenlyError(f"run {run_id}: {row.error or row.status}")
    return row


def _slots() -> Iterator[int]:
    yield from SLOTS
    raise EvenlyError(f"{len(SLOTS)} post-hoc steps are being applied already; try again in a moment")
